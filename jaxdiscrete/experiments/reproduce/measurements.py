"""Measurements of an experiment: its runs are trained, resumed, or read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from jaxdiscrete.experiments.config.experiment import START, Experiment
from jaxdiscrete.experiments.output import codec, folder, side_by_side
from jaxdiscrete.experiments.output.records import (
    Curves,
    Measured,
    MeasuredRun,
    RunSummary,
    SharedTrajectory,
    Statistic,
    make_band,
    summarise,
)
from jaxdiscrete.experiments.runs import grid, pretrained, together, train, trajectory
from jaxdiscrete.experiments.settings.fields import flatten
from jaxdiscrete.experiments.training.settings import Config

TRAJECTORY_FILE = "trajectory.json"
#: Metrics of a block that curves show; a bound is the negative loss, averaged more.
_CURVES = (
    "train_elbo",
    "valid_elbo",
    "theta",
    "reward",
    "log_variance",
    "encoder_log_variance",
)
#: Where none of them says what is optimised.
_WITH_LOSS = (
    "theta",
    "loss",
    "share",
    "accuracy",
    "valid_accuracy",
    "ink",
    "excess",
    "log_variance",
    "encoder_log_variance",
)
_OF_TEXT = (
    "nll_oracle",
    "nll_test",
    "valid_perplexity",
    "words",
    "grammatical",
    "divergence",
    "discriminator_accuracy",
    "log_variance",
)
_NUM_POINTS = 100
#: Pictures of the first seed that a report shows.
_PICTURES = ("samples", "completions", "masks", "chosen", "glimpses")
#: Sentences of the first seed that a report shows.
_TEXT = "samples"


@dataclasses.dataclass(frozen=True)
class StoredTrajectory:
    """A shared trajectory beside the settings that decide whether it still stands."""

    settings: dict[str, Any]
    trajectory: SharedTrajectory


def measure(
    experiment: Experiment, place: Path, screen: Console, *, short: bool
) -> Measured:
    """Measures everything that an experiment claims something of.

    Args:
      experiment: a claim and its runs at that length, or its grid of estimators.
      place: folder of the runs.
      screen: where progress is shown.
      short: which length; the full one has one seed and no shared trajectory.

    Raises:
      UsageError: if a folder or the data cannot be used.
      RunError: if a value is not finite.
    """
    if experiment.grid is not None:
        return Measured(
            dataset=experiment.grid.description,
            steps=experiment.grid.num_gradients,
            seeds=(experiment.grid.seed,),
            runs=grid.measure_grid(experiment.grid, screen),
        )
    return _measure_runs(experiment, place, screen, short=short)


def _measure_runs(
    experiment: Experiment, place: Path, screen: Console, *, short: bool
) -> Measured:
    """Trains what is missing, resumes what was cut, and collects all of it."""
    lengthened = experiment.runs
    chosen = experiment.short.runs if short else ()
    configs = {name: lengthened[name] for name in chosen or lengthened}
    num_seeds = experiment.short.num_seeds if short else 1
    summaries: dict[str, list[RunSummary]] = {name: [] for name in configs}
    rows: dict[str, list[list[dict[str, float]]]] = {name: [] for name in configs}
    images: dict[str, str] = {}
    texts: dict[str, tuple[str, ...]] = {}
    firsts: dict[str, Path] = {}
    seeded = [
        (name, dataclasses.replace(config, seed=config.seed + i))
        for i in range(num_seeds)
        for name, config in configs.items()
    ]
    folders = {(name, c.seed): _run_folder(place, name, c) for name, c in seeded}
    done = {(n, c.seed): pretrained.finished(folders[n, c.seed], c) for n, c in seeded}
    lacking = list(dict.fromkeys(n for (n, _), s in done.items() if s is None))
    is_together = short and experiment.short.seeds_together
    if is_together:
        # Sums of fewer seeds round otherwise, and a seed may end elsewhere.
        done |= {(n, s): None for n, s in done if n in lacking}
    seconds_before = math.fsum(s.seconds for s in done.values() if s is not None)
    for name in lacking if is_together else ():
        places = {seed: folders[n, seed] for n, seed in folders if n == name}
        trained = together.train_seeds(configs[name], places, screen)
        done |= {(name, seed): summary for seed, summary in trained.items()}
    for name, config in seeded:
        run_folder = folders[name, config.seed]
        summary = done[name, config.seed]
        if summary is None and config.model.is_shared:
            _, summary = pretrained.find_or_train(
                config, screen, train.train_or_continue
            )
        elif summary is None:
            summary = train.train_or_continue(config, run_folder, screen)
        summaries[name].append(summary)
        rows[name].append(folder.read_metrics(run_folder, summary.steps))
        if config.seed == configs[name].seed:
            images |= _pictures(name, run_folder)
            texts |= _texts(name, run_folder)
            firsts[name] = run_folder
    for kind in _PICTURES if len(firsts) > 1 else ():
        joined = side_by_side.join(kind, firsts, place)
        if joined is not None:
            images = {f"all runs: {kind}": str(joined)} | images
    start = experiment.start
    of_start = {}
    if start is not None:
        _, summary = pretrained.find_or_train(start, screen, train.train_or_continue)
        seconds_before += summary.seconds
        of_start[START] = MeasuredRun(
            estimator=start.estimator.name,
            calls_of_f=None,
            settings=flatten(start),
            final=_final([summary]),
            curves=Curves((), {}),
        )
        texts = _texts(START, pretrained.run_folder(start)) | texts
    first = next(iter(summaries.values()))[0]
    seed = next(iter(configs.values())).seed
    return Measured(
        dataset=first.dataset,
        steps=first.steps,
        seeds=tuple(range(seed, seed + num_seeds)),
        runs=of_start
        | {
            name: MeasuredRun(
                estimator=config.estimator.name,
                calls_of_f=config.calls_of_f,
                settings=flatten(config),
                final=_final(summaries[name]),
                curves=_curves(rows[name]),
            )
            for name, config in configs.items()
        },
        shared_trajectory=(
            _shared_trajectory(experiment, lengthened, place, screen) if short else None
        ),
        images=images,
        texts=texts,
        seconds_before=seconds_before,
    )


def _shared_trajectory(
    experiment: Experiment, configs: dict[str, Config], place: Path, screen: Console
) -> SharedTrajectory | None:
    """Variances along one trajectory, read where they are measured already."""
    short = experiment.short
    if not short.shared_trajectory:
        return None
    followed = {name: configs[name] for name in short.trajectory_runs or configs}
    settings = codec.to_plain(
        {
            "driver": short.shared_trajectory,
            "steps": short.trajectory_steps,
            "seeds": short.trajectory_seeds,
            "runs": followed,
        }
    )
    path = place / TRAJECTORY_FILE
    try:
        stored = codec.read(path, StoredTrajectory)
        if stored.settings == settings:
            return stored.trajectory
    except (OSError, ValueError):
        pass
    measured = trajectory.measure(
        followed,
        short.shared_trajectory,
        short.trajectory_steps,
        short.trajectory_seeds,
        screen,
    )
    codec.write(path, StoredTrajectory(settings, measured))
    return measured


def _run_folder(place: Path, name: str, config: Config) -> Path:
    """Of the run in a place; runs that others begin with are kept for all."""
    if config.model.is_shared:
        return pretrained.run_folder(config)
    return place / f"{name}-seed{config.seed}"


def _pictures(name: str, run_folder: Path) -> dict[str, str]:
    paths = {kind: run_folder / f"{kind}.png" for kind in _PICTURES}
    return {f"{name}: {k}": str(path) for k, path in paths.items() if path.exists()}


def _texts(name: str, run_folder: Path) -> dict[str, tuple[str, ...]]:
    path = run_folder / f"{_TEXT}.txt"
    if not path.exists():
        return {}
    return {name: tuple(path.read_text(encoding="utf-8").splitlines())}


def _final(summaries: Sequence[RunSummary]) -> dict[str, Statistic]:
    names = summaries[0].metrics
    return {name: summarise([s.metrics[name] for s in summaries]) for name in names}


def _curves(seeds: Sequence[Sequence[dict[str, float]]]) -> Curves:
    """About a hundred points of every metric, with a band over the seeds."""
    stride = max(1, len(seeds[0]) // _NUM_POINTS)
    points = list(zip(*seeds, strict=True))[stride - 1 :: stride]
    first = seeds[0][0]
    names: tuple[str, ...] = _WITH_LOSS
    if not {"train_elbo", "reward"}.isdisjoint(first):
        names = _CURVES
    elif not {"nll_oracle", "words", "grammatical"}.isdisjoint(first):
        names = _OF_TEXT
    return Curves(
        steps=tuple(int(point[0]["step"]) for point in points),
        metrics={
            name: make_band([summarise([row[name] for row in p]) for p in points])
            for name in names
            if all(name in row for p in points for row in p)
        },
    )
