"""The measurements of an experiment: trained models, shared trajectories, toys."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from jaxdiscrete.experiments import files, relaxation_study, runs, toy, trajectory
from jaxdiscrete.experiments.claims import summarise
from jaxdiscrete.experiments.config import Experiment
from jaxdiscrete.experiments.data import load_dataset
from jaxdiscrete.experiments.estimators import find_estimator
from jaxdiscrete.experiments.settings import Config, StudyConfig, ToyConfig, flatten

#: Metrics of a block that the curves show.
_CURVES = ("train_elbo", "valid_elbo", "log_variance", "encoder_log_variance")


def at_length(experiment: Experiment, *, short: bool) -> dict[str, Config]:
    """The runs at one of their two lengths.

    Args:
      experiment: of models, not of toys.
      short: which.

    Returns:
      Configurations by name.
    """
    configs = {n: c for n, c in experiment.runs.items() if isinstance(c, Config)}
    if not short:
        return configs
    length = experiment.short
    return {
        name: dataclasses.replace(
            config,
            training=dataclasses.replace(config.training, num_steps=length.num_steps),
            evaluation=dataclasses.replace(
                config.evaluation,
                num_test_examples=length.num_test_examples,
                num_samples=length.num_samples,
            ),
        )
        for name, config in configs.items()
    }


def measure_models(
    experiment: Experiment, place: Path, num_seeds: int, screen: Console, *, short: bool
) -> dict[str, Any]:
    """Trains what is missing, resumes what was cut, and collects all of it.

    Args:
      experiment: of models.
      place: folder of the runs.
      num_seeds: of every run.
      screen: where progress is shown.
      short: which length.

    Returns:
      ``runs`` with final metrics and curves, ``shared_trajectory`` or None, the data
      set's title, ``steps``, ``seeds``, seconds of runs that were there before, and
      paths of images.

    Raises:
      UsageError, RunError: as ``runs.train``.
    """
    lengthened = at_length(experiment, short=short)
    chosen = experiment.short.runs if short else ()
    configs = {name: lengthened[name] for name in chosen or lengthened}
    summaries: dict[str, list[dict[str, Any]]] = {n: [] for n in configs}
    curves: dict[str, list[list[dict[str, Any]]]] = {n: [] for n in configs}
    images, seconds_before = {}, 0.0
    for i in range(num_seeds):
        for name, config in configs.items():
            config = dataclasses.replace(config, seed=config.seed + i)
            run_folder = place / f"{name}-seed{config.seed}"
            summary = _summary(run_folder, config)
            if summary is None:
                summary = runs.train_or_continue(config, run_folder, screen)
            else:
                seconds_before += summary["seconds"]
            summaries[name].append(summary)
            curves[name].append(files.read_metrics(run_folder, summary["steps"]))
            for picture in ("samples", "completions"):
                if i == 0 and (run_folder / f"{picture}.png").exists():
                    path = run_folder / f"{picture}.png"
                    images[f"{name}: {picture}"] = str(path)
    shared = None
    short_settings = experiment.short
    if short and short_settings.shared_trajectory:
        followed = short_settings.trajectory_runs or tuple(lengthened)
        shared = _shared_trajectory(
            experiment, {n: lengthened[n] for n in followed}, place, screen
        )
    rows = {}
    for name, config in configs.items():
        entry = find_estimator(config.estimator.name)
        rows[name] = {
            "estimator": config.estimator.name,
            "calls_of_f": entry.calls_of_f(config.estimator),
            "settings": flatten(config),
            "final": _final(summaries[name]),
            "curve": _curve(curves[name]),
        }
    first = next(iter(summaries.values()))
    return {
        "dataset": first[0]["dataset"],
        "steps": first[0]["steps"],
        "seeds": [config.seed + i for i in range(num_seeds)],
        "seconds_before": seconds_before,
        "runs": rows,
        "shared_trajectory": shared,
        "images": images,
    }


def _summary(folder: Path, config: Config) -> dict[str, Any] | None:
    """Of a run that is finished and had these settings."""
    try:
        text = (folder / files.SUMMARY_FILE).read_text(encoding="utf-8")
        before = json.loads((folder / files.CONFIG_FILE).read_text(encoding="utf-8"))
        summary: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return None
    return summary if flatten(before) == flatten(config) else None


def _shared_trajectory(
    experiment: Experiment,
    configs: dict[str, Config],
    place: Path,
    screen: Console,
) -> dict[str, Any]:
    path, short = place / "trajectory.json", experiment.short
    settings: dict[str, Any] = {
        "driver": short.shared_trajectory,
        "steps": short.trajectory_steps,
        "seeds": short.trajectory_seeds,
        "runs": {name: dataclasses.asdict(c) for name, c in configs.items()},
    }
    settings = json.loads(json.dumps(settings))
    try:
        saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if saved["settings"] == settings:
            return {k: v for k, v in saved.items() if k != "settings"}
    except (OSError, ValueError, KeyError):
        pass
    data = next(iter(configs.values())).data
    measured = trajectory.measure(
        configs,
        short.shared_trajectory,
        short.trajectory_steps,
        short.trajectory_seeds,
        load_dataset(data.name, data.binarization or None),
        screen,
    )
    files.write_json(path, measured | {"settings": settings})
    return measured


def measure_toy(experiment: Experiment, num_seeds: int) -> dict[str, Any]:
    """Trains the toys of an experiment.

    Args:
      experiment: of toys.
      num_seeds: of every run.

    Returns:
      As :func:`measure_models`.

    Raises:
      RunError: if a value is not finite.
    """
    rows, steps = {}, 0
    for name, config in experiment.runs.items():
        assert isinstance(config, ToyConfig)
        curve = toy.train(config, num_seeds)
        steps = curve[-1]["step"]
        metrics = [k for k in curve[0] if k != "step"]
        # A gradient of one sample is noisy: the last tenth of the points is averaged.
        tail = curve[-max(1, len(curve) // 10) :]
        final = {
            m: summarise(
                [
                    math.fsum(v) / len(tail)
                    for v in zip(*[r[m] for r in tail], strict=True)
                ]
            )
            for m in metrics
        }
        thinned = curve[:: max(1, len(curve) // 100)]
        rows[name] = {
            "estimator": config.estimator.name,
            "calls_of_f": find_estimator(config.estimator.name).calls_of_f(
                config.estimator
            ),
            "settings": flatten(config),
            "final": final,
            "curve": {"step": [r["step"] for r in thinned]}
            | {m: _bands([summarise(r[m]) for r in thinned]) for m in metrics},
        }
    seed = next(iter(experiment.runs.values())).seed
    return {
        "dataset": "one Bernoulli variable",
        "steps": steps,
        "seeds": [seed + i for i in range(num_seeds)],
        "seconds_before": 0.0,
        "runs": rows,
        "shared_trajectory": None,
        "images": {},
    }


def measure_study(experiment: Experiment) -> dict[str, Any]:
    """Measures a study; its runs are estimators at temperatures.

    Args:
      experiment: of a study.

    Returns:
      As :func:`measure_models`.
    """
    config = next(iter(experiment.runs.values()))
    assert isinstance(config, StudyConfig)
    rows = {}
    for row in relaxation_study.study(config)["rows"]:
        name, error = row["estimator"], row["standard_error"]
        bias = {"mean": row["bias"], "se": error, "values": [row["bias"]]}
        rows[relaxation_study.run_name(name, row["temperature"])] = {
            "estimator": name,
            "calls_of_f": None,
            "settings": flatten(config),
            "final": {
                "bias": bias,
                "bias_in_standard_errors": summarise([row["bias"] / error]),
                "log_variance": summarise([row["log_variance"]]),
            },
            "curve": {"step": []},
        }
    return {
        "dataset": f"one variable of {len(config.logits)} classes",
        "steps": config.num_samples,
        "seeds": [config.seed],
        "seconds_before": 0.0,
        "runs": rows,
        "shared_trajectory": None,
        "images": {},
    }


def _final(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    numbers = [
        k for k, v in summaries[0].items() if isinstance(v, float) and k != "seconds"
    ]
    return {k: summarise([s[k] for s in summaries]) for k in numbers}


def _curve(seeds: list[list[dict[str, Any]]]) -> dict[str, Any]:
    stride = max(1, len(seeds[0]) // 100)
    points = list(zip(*seeds, strict=True))[stride - 1 :: stride]
    curve: dict[str, Any] = {"step": [p[0]["step"] for p in points]}
    for metric in _CURVES:
        curve[metric] = _bands([summarise([r[metric] for r in p]) for p in points])
    return curve


def _bands(points: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [p["se"] for p in points]
    return {
        "mean": [p["mean"] for p in points],
        "se": None if None in errors else errors,
    }
