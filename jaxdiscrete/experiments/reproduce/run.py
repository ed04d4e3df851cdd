"""From the configurations of a paper to published numbers beside measured ones.

What is there already is not run again, what was cut is resumed, so that calling twice
costs seconds.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

import jaxdiscrete
from jaxdiscrete.experiments.config.claims import Expectation
from jaxdiscrete.experiments.config.experiment import Experiment
from jaxdiscrete.experiments.config.load import load_experiment
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.records import (
    Measured,
    SharedTrajectory,
    at_step,
    summarise,
)
from jaxdiscrete.experiments.reproduce.measurements import measure
from jaxdiscrete.experiments.reproduce.results import (
    PUBLISHED_FILE,
    ExpectationOutcome,
    PublishedNumber,
    PublishedOutcome,
    Result,
    find_result,
    load_published,
    write_result,
)
from jaxdiscrete.experiments.reproduce.verdicts import (
    check_expectation,
    compare_published,
)
from jaxdiscrete.experiments.runs.trajectory import METRICS

_PACKAGES = ("jax", "jaxlib", "numpy", "optax", "flax", "jaxdiscrete")


def find_experiments(target: str, configs: Path) -> list[Path]:
    """The files with a claim that a name stands for.

    Args:
      target: a TOML file, or a folder of them: of ``configs`` or any other.
      configs: the folder of the configurations.

    Raises:
      UsageError: if there are none.
    """
    for path in (Path(target), configs / target, configs / f"{target}.toml"):
        if path.is_file():
            return [path]
        if path.is_dir():
            found = sorted(path.rglob("*.toml"))
            found = [p for p in found if "[claim]" in p.read_text(encoding="utf-8")]
            if found:
                return found
    papers = sorted(p.name for p in configs.glob("*") if any(p.glob("*.toml")))
    raise UsageError(
        f"Expected a configuration with a claim or a folder of them, got {target!r}. "
        f"In {configs} there are {', '.join(papers) or 'none'}; with a clone of the "
        "repository they come along, else name the folder with --configs."
    )


def run(
    path: Path,
    folder: Path,
    configs: Path,
    screen: Console,
    *,
    short: bool,
    only: tuple[str, ...] = (),
    change: Callable[[Any], Any] = lambda settings: settings,
    options: Sequence[str] = (),
) -> Result:
    """Runs what an experiment lacks, and compares it with its claim.

    Args:
      path: the configuration.
      folder: of all reproductions; this one gets a folder of its name and length.
      configs: folder with the published numbers.
      screen: where progress is shown.
      short: whether the short length is run.
      only: names of runs; what is claimed of others is left out. Default: all.
      change: from the settings of a run to those that are used. Default: the same.
      options: the change as options of the command, for the report. Default: none.

    Raises:
      UsageError: if the configuration, the data or a folder cannot be used.
      RunError: if a value is not finite.
    """
    full, published = load_experiment(path), load_published(configs)
    experiment = full.at_length(short=short).restricted(only).changed(change)
    for claim in experiment.claim.published:
        if claim.key not in published:
            raise UsageError(
                f"{path}: Expected keys of {PUBLISHED_FILE} in claim.published, got "
                f"{claim.key!r}. Correct it."
            )
    name = f"{path.parent.name}/{path.stem}"
    place = folder / name / ("short" if short else "full")
    settings = _settings(experiment, short)
    before = find_result(place, settings)
    if before is not None:
        screen.print(f"{name}: nothing to do")
        return before
    is_new = not place.exists()
    place.mkdir(parents=True, exist_ok=True)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    measured = measure(experiment, place, screen, short=short)
    is_whole = is_new and not measured.seconds_before
    result = Result(
        experiment=name,
        paper=experiment.claim.paper,
        title=experiment.claim.title,
        reference=experiment.claim.reference,
        where=experiment.claim.where,
        dataset=measured.dataset,
        notes=experiment.claim.notes,
        command=_command(name, short, only, options),
        length="short" if short else "full",
        steps=measured.steps,
        full_steps=_full_steps(full),
        full_hours=experiment.claim.full_hours,
        seeds=measured.seeds,
        versions=versions(),
        device=device(),
        wall_seconds=time.perf_counter() - begin + measured.seconds_before,
        runs=measured.runs,
        published=_published(experiment, _full_steps(full), published, measured),
        expectations=_expectations(experiment, measured) if short else (),
        shared_trajectory=measured.shared_trajectory,
        images=measured.images,
        texts=measured.texts,
        cpu_seconds=time.process_time() - begin_cpu if is_whole else None,
    )
    write_result(place, settings, result)
    return result


def _command(
    name: str, short: bool, only: Sequence[str], options: Sequence[str]
) -> str:
    length = ("--short",) if short else ()
    chosen = ("--only", *only) if only else ()
    return " ".join(["jaxdiscrete reproduce", name, *length, *chosen, *options])


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = jaxdiscrete.__version__
    return found


def device() -> str:
    """The accelerator, or how many cores there are."""
    first = jax.devices()[0]
    if first.platform == "cpu":
        cores = len(os.sched_getaffinity(0))
        return f"CPU, {cores} core{'s' if cores > 1 else ''}"
    return f"{jax.device_count()} x {first.device_kind}"


def _settings(experiment: Experiment, short: bool) -> dict[str, Any]:
    """The settings by which a result is known as that of the configuration."""
    settings: dict[str, Any] = codec.to_plain(
        {
            "length": experiment.short if short else "full",
            "claim": experiment.claim,
            "runs": experiment.runs,
            "grid": experiment.grid,
        }
    )
    return settings


def _full_steps(experiment: Experiment) -> int:
    if experiment.grid is not None:
        return experiment.grid.num_gradients
    return next(iter(experiment.runs.values())).num_steps


def _published(
    experiment: Experiment,
    full: int,
    published: dict[str, PublishedNumber],
    measured: Measured,
) -> tuple[PublishedOutcome, ...]:
    """Each published number beside the run's, at shared parameters where it can be.

    One of an earlier step is compared with the curve, if that has the step.
    """
    shared, rows = measured.shared_trajectory, []
    for claim in experiment.claim.published:
        run, step = measured.runs.get(claim.run), measured.steps
        values = {} if run is None else run.final
        if shared is not None and claim.metric in METRICS:
            followed, step = shared.runs.get(claim.run), shared.steps
            values = {} if followed is None else followed.metrics
        value, entry = values.get(claim.metric), published[claim.key]
        if run is not None and (value is None or claim.step not in (0, step)):
            early = at_step(run.curves, claim.metric, claim.step or full)
            if early is not None:
                value, step = early, claim.step or full
        rows.append(compare_published(claim, entry, full, step, value))
    return tuple(rows)


def _expectations(
    experiment: Experiment, measured: Measured
) -> tuple[ExpectationOutcome, ...]:
    final = {name: run.final for name, run in measured.runs.items()}
    shared = measured.shared_trajectory
    return tuple(
        check_expectation(e, final)
        if shared is None or not e.trajectory
        else along(shared, e)
        for e in experiment.claim.expectations
    )


def along(shared: SharedTrajectory, expectation: Expectation) -> ExpectationOutcome:
    """An expectation at the end of a trajectory, or where it first does not hold."""
    for i, step in enumerate(shared.curve_steps):
        if 0 < expectation.from_step <= step:
            means = {
                name: {"log_variance": summarise([curve[i]])}
                for name, curve in shared.log_variance.items()
            }
            outcome = check_expectation(expectation, means)
            if not outcome.holds:
                return outcome
    final = {name: run.metrics for name, run in shared.runs.items()}
    return check_expectation(expectation, final)
