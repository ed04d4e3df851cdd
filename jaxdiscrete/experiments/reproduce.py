"""From the configurations of a paper to published numbers beside measured ones.

What is there already is not run again, what was cut is resumed, so that calling twice
costs seconds.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

import jaxdiscrete
from jaxdiscrete.experiments import files, trajectory
from jaxdiscrete.experiments.claims import (
    check_expectation,
    compare_published,
)
from jaxdiscrete.experiments.config import Experiment, load_experiment
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.measurements import (
    measure_models,
    measure_study,
    measure_toy,
)
from jaxdiscrete.experiments.settings import StudyConfig, ToyConfig

RESULT_FILE = "result.json"
PUBLISHED_FILE = "published.json"
_PACKAGES = ("jax", "jaxlib", "numpy", "optax", "flax", "jaxdiscrete")


def find_experiments(target: str, configs: Path) -> list[Path]:
    """The files that a name stands for.

    Args:
      target: a TOML file, or a folder of them: of ``configs`` or any other.
      configs: the folder of the configurations.

    Returns:
      Paths of files with a claim.

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


def load_published(configs: Path) -> dict[str, dict[str, Any]]:
    """The published numbers by key.

    Args:
      configs: folder of the configurations.

    Returns:
      Entries with ``value``, ``metric``, ``table``, ``source`` and ``note``.

    Raises:
      UsageError: if the file cannot be read.
    """
    path = configs / PUBLISHED_FILE
    try:
        table: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Expected published numbers in {path}, got: {error}. Name the folder of "
            "the repository's configurations with --configs."
        ) from None
    return table


def run(
    path: Path, folder: Path, configs: Path, screen: Console, *, short: bool
) -> Any:
    """Runs what an experiment lacks, and compares it with its claim.

    Args:
      path: of the configuration.
      folder: of all reproductions; this one gets a folder of its name and length.
      configs: folder with the published numbers.
      screen: where progress is shown.
      short: whether the short length is run.

    Returns:
      The result, as in ``result.json``.

    Raises:
      UsageError: if the configuration, the data or a folder cannot be used.
      RunError: if a value is not finite.
    """
    experiment, published = load_experiment(path), load_published(configs)
    for claim in experiment.claim.published:
        if claim.key not in published:
            raise UsageError(
                f"{path}: Expected keys of {PUBLISHED_FILE} in claim.published, got "
                f"{claim.key!r}. Correct it."
            )
    name = f"{path.parent.name}/{path.stem}"
    length = "short" if short else "full"
    place = folder / name / length
    settings = _settings(experiment, short)
    before = _finished(place, settings)
    if before is not None:
        screen.print(f"{name}: nothing to do")
        return before
    place.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    seeds = experiment.short.num_seeds if short else 1
    kind = type(next(iter(experiment.runs.values())))
    if kind is ToyConfig:
        measured = measure_toy(experiment, seeds)
    elif kind is StudyConfig:
        measured = measure_study(experiment)
    else:
        measured = measure_models(experiment, place, seeds, screen, short=short)
    result = {
        "experiment": name,
        **{k: getattr(experiment.claim, k) for k in ("paper", "title", "reference")},
        "where": experiment.claim.where,
        "dataset": measured["dataset"],
        "notes": list(experiment.claim.notes),
        "command": f"jaxdiscrete reproduce {name}{' --short' if short else ''}",
        "length": length,
        "steps": measured["steps"],
        "full_steps": _full_steps(experiment),
        "full_hours": experiment.claim.full_hours,
        "seeds": measured["seeds"],
        "versions": versions(),
        "device": device(),
        "wall_seconds": time.perf_counter() - begin + measured["seconds_before"],
        "runs": measured["runs"],
        "published": _beside(experiment, published, measured),
        "expectations": _expectations(experiment, measured) if short else [],
        "shared_trajectory": measured["shared_trajectory"],
        "images": measured["images"],
        "settings": settings,
    }
    files.write_json(place / RESULT_FILE, result)
    return result


def write_summary(folder: Path, result: dict[str, Any]) -> None:
    """Writes the part of a result that is worth keeping in a repository.

    Args:
      folder: of the summaries; the experiment's name is appended.
      result: as from :func:`run`.
    """
    kept = {k: v for k, v in result.items() if k not in ("settings", "images")}
    kept["runs"] = {name: _rounded(row) for name, row in result["runs"].items()}
    if result["shared_trajectory"] is not None:
        kept["shared_trajectory"] = _rounded(result["shared_trajectory"])
    path = folder / f"{result['experiment']}-{result['length']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, kept)


def _rounded(value: Any) -> Any:
    """Five significant digits, and every fourth point of a curve."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        kept = value[::4] if len(value) > 40 else value
        return [_rounded(v) for v in kept]
    return value


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
    """What decides whether a result is still that of the configuration."""
    return {
        "length": dataclasses.asdict(experiment.short) if short else "full",
        "claim": json.loads(json.dumps(dataclasses.asdict(experiment.claim))),
        "runs": {n: dataclasses.asdict(c) for n, c in experiment.runs.items()},
    }


def _finished(place: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    try:
        text = (place / RESULT_FILE).read_text(encoding="utf-8")
        result: dict[str, Any] = json.loads(text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Expected a result in {place / RESULT_FILE}, got a file that cannot be "
            f"read ({error}). Delete it: runs that are done are not repeated."
        ) from None
    same = json.loads(json.dumps(settings)) == result.get("settings")
    return result if same else None


def _full_steps(experiment: Experiment) -> int:
    config = next(iter(experiment.runs.values()))
    if isinstance(config, ToyConfig):
        return config.num_steps
    if isinstance(config, StudyConfig):
        return config.num_samples
    return config.training.num_steps


def _beside(
    experiment: Experiment, published: dict[str, Any], measured: dict[str, Any]
) -> list[dict[str, Any]]:
    full, shared = _full_steps(experiment), measured["shared_trajectory"]
    rows = []
    for claim in experiment.claim.published:
        values = measured["runs"].get(claim.run, {}).get("final", {})
        step = measured["steps"]
        if shared is not None and claim.metric in trajectory.METRICS:
            values, step = shared["runs"].get(claim.run, {}), shared["steps"]
        value = values.get(claim.metric)
        entry = published[claim.key]
        rows.append(compare_published(claim, entry, full, step, value))
    return rows


def _expectations(
    experiment: Experiment, measured: dict[str, Any]
) -> list[dict[str, Any]]:
    final = {n: r["final"] for n, r in measured["runs"].items()}
    shared = measured["shared_trajectory"]
    return [
        check_expectation(e, shared["runs"] if e.trajectory and shared else final)
        for e in experiment.claim.expectations
    ]
