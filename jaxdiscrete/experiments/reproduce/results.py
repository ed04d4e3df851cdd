"""The result of an experiment: its records, and how they are written and read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.records import (
    MeasuredRun,
    SharedTrajectory,
    Statistic,
)

RESULT_FILE = "result.json"
PUBLISHED_FILE = "published.json"
#: Lists that are longer keep one entry in four when a result is kept.
_LONG = 40
_KEPT_DIGITS = 5


@dataclasses.dataclass(frozen=True)
class PublishedNumber:
    """An entry of ``published.json``, with the place where it was read."""

    paper: str
    experiment: str
    dataset: str
    model: str
    estimator: str
    metric: str
    value: float
    stderr: float | None
    table: str | None
    source: str
    note: str | None


@dataclasses.dataclass(frozen=True)
class PublishedOutcome:
    """A published number beside the measured one."""

    key: str
    run: str
    metric: str
    step: int
    """The step at which it was published."""
    value: float
    """With the sign that the measured one has."""
    published_metric: str
    """The metric in the paper's words."""
    table: str | None
    source: str
    note: str | None
    measured: Statistic | None
    """None where it was not measured."""
    measured_step: int | None
    tolerance: float | None
    """None where no agreement is claimed."""
    holds: bool | None
    """None where the steps differ or no agreement is claimed."""


@dataclasses.dataclass(frozen=True)
class ExpectationOutcome:
    """An expectation and what was measured of it."""

    text: str
    metric: str
    measured: dict[str, Statistic]
    """By run, in the order of the expectation."""
    within: tuple[str, ...]
    """Runs whose seeds were expected in the range, but for one of every five."""
    range: tuple[float, ...]
    """Least and largest value, or nothing."""
    holds: bool


@dataclasses.dataclass(frozen=True)
class Result:
    """An experiment that was run: how, with which numbers, beside which claim."""

    experiment: str
    """The paper's folder and the file, for instance "rebar/mnist_linear"."""
    paper: str
    title: str
    reference: str
    where: str
    """Table or figure of the paper."""
    dataset: str
    notes: tuple[str, ...]
    """Differences between the runs and the paper's."""
    command: str
    length: Literal["short", "full"]
    steps: int
    full_steps: int
    full_hours: float
    seeds: tuple[int, ...]
    versions: dict[str, str]
    device: str
    wall_seconds: float
    runs: dict[str, MeasuredRun]
    published: tuple[PublishedOutcome, ...]
    expectations: tuple[ExpectationOutcome, ...]
    shared_trajectory: SharedTrajectory | None = None
    images: dict[str, str] = dataclasses.field(default_factory=dict)
    """Paths of PNG files by title, on the machine of the run."""
    texts: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Samples of text by run."""
    cpu_seconds: float | None = None
    """User and system time of all cores, None where a part was there already."""


@dataclasses.dataclass(frozen=True)
class StoredResult:
    """A result beside the settings that decide whether it still stands."""

    settings: dict[str, Any]
    result: Result


def load_published(configs: Path) -> dict[str, PublishedNumber]:
    """The published numbers by key.

    Raises:
      UsageError: if the file in the folder cannot be read.
    """
    path = configs / PUBLISHED_FILE
    try:
        return codec.read(path, dict[str, PublishedNumber])
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Expected published numbers in {path}, got: {error}. Name the folder of "
            "the repository's configurations with --configs."
        ) from None


def write_result(folder: Path, settings: dict[str, Any], result: Result) -> None:
    """Writes a result with the settings that it belongs to."""
    codec.write(folder / RESULT_FILE, StoredResult(settings, result))


def find_result(folder: Path, settings: dict[str, Any]) -> Result | None:
    """The result in a folder, unless there is none or its settings were others.

    Raises:
      UsageError: if the file cannot be read.
    """
    path = folder / RESULT_FILE
    try:
        stored = codec.read(path, StoredResult)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Expected a result in {path}, got a file that cannot be "
            f"read ({error}). Delete it: runs that are done are not repeated."
        ) from None
    return stored.result if stored.settings == codec.to_plain(settings) else None


def write_summary(folder: Path, result: Result) -> None:
    """Writes the part of a result that is worth keeping in a repository.

    Args:
      folder: of all summaries; the experiment's name and length are appended.
      result: any result; its measurements are rounded, its curves thinned.
    """
    kept = codec.to_plain(dataclasses.replace(result, images={}))
    for part in ("expectations", "shared_trajectory"):
        kept[part] = _rounded(kept[part])
    for name, run in kept["runs"].items():
        kept["runs"][name] = _rounded(run) | {"settings": run["settings"]}
    path = folder / f"{result.experiment}-{result.length}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    codec.write(path, kept)


def read_summaries(folder: Path) -> list[Result]:
    """All results that :func:`write_summary` wrote, in the order of their names.

    Raises:
      UsageError: if one cannot be read.
    """
    results = []
    for path in sorted(folder.rglob("*.json")):
        try:
            results.append(codec.read(path, Result))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"Expected the summary of a result in {path}, got: {error}. Write it "
                "again with jaxdiscrete reproduce --summaries."
            ) from None
    return results


def _rounded(value: Any) -> Any:
    """Five significant digits, and every fourth point of a curve."""
    if isinstance(value, float):
        return float(f"{value:.{_KEPT_DIGITS}g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        kept = value[::4] if len(value) > _LONG else value
        return [_rounded(v) for v in kept]
    return value
