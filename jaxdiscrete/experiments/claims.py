"""What a paper says of an experiment, and whether a run of it agrees."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings import bounded

#: Mean and standard error over seeds, the latter None for one seed.
Measured = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Published:
    """A published number, and which measurement of ours stands beside it."""

    key: str
    """Of the number in configs/published.json."""
    run: str
    """Name of the run."""
    metric: str
    """Of the final metrics, or of the curve at the step."""
    step: int = bounded(0, at_least=0)
    """Training step at which it was published. Default: the full length."""
    sign: Literal[1, -1] = 1
    """-1 where the paper prints a negative log-likelihood and we its negative."""
    tolerance: float = bounded(0.0, at_least=0)
    """Largest difference that counts as reproduced. Default: none is claimed."""


@dataclasses.dataclass(frozen=True)
class Expectation:
    """An order of runs, or a range of one run, that must hold at the short length."""

    text: str
    """In words."""
    metric: str
    """Of the final metrics, or of the shared trajectory."""
    lower: tuple[str, ...] = ()
    """Runs of lower values than ``higher``."""
    higher: tuple[str, ...] = ()
    """Runs of higher values."""
    margin: float = 0.0
    """Least difference of the means."""
    inside: tuple[str, ...] = ()
    """Runs whose every seed, or all but one of five, lies in the range."""
    range: tuple[float, ...] = ()
    """Least and largest value of the runs in ``inside``."""
    trajectory: bool = False
    """Whether the values are those measured along the shared trajectory."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """Where an experiment comes from and what it is expected to show."""

    paper: str = ""
    """Short name."""
    title: str = ""
    """Of the experiment."""
    reference: str = ""
    """Authors, title, year."""
    where: str = ""
    """Table or figure."""
    full_hours: float = bounded(0.0, at_least=0)
    """Rough hours of all runs at the full length on 2 CPU cores, extrapolated from
    steps of this or a similar model."""
    notes: tuple[str, ...] = ()
    """How the runs differ from the paper's."""
    published: tuple[Published, ...] = ()
    expectations: tuple[Expectation, ...] = ()


@dataclasses.dataclass(frozen=True)
class Short:
    """The length that fits minutes, at which expectations are checked."""

    num_steps: int = bounded(20_000, at_least=1)
    """Gradient steps."""
    runs: tuple[str, ...] = ()
    """Which estimators. Default: all."""
    num_seeds: int = bounded(1, at_least=1)
    """Runs of every estimator, from the configured seed on."""
    num_test_examples: int = bounded(1000, at_least=1)
    """Randomly chosen examples in the final bounds."""
    num_samples: int = bounded(100, at_least=1)
    """Samples an example in the final bounds."""
    shared_trajectory: str = ""
    """Run along which all estimators' variances are measured. Default: none."""
    trajectory_steps: int = bounded(20_000, at_least=1)
    """Steps of that run."""
    trajectory_runs: tuple[str, ...] = ()
    """Which estimators are measured along it. Default: all."""
    trajectory_seeds: int = bounded(1, at_least=1)
    """How many trajectories."""


def check_expectation(
    expectation: Expectation, runs: dict[str, dict[str, Measured]]
) -> dict[str, Any]:
    """Compares an expectation with measurements.

    Args:
      expectation: of a configuration.
      runs: metrics by run, each with ``mean``, ``se`` and ``values`` by seed.

    Returns:
      ``text``, ``measured`` in words, and whether it ``holds``.

    Raises:
      UsageError: if a run has no such metric.
    """
    metric = expectation.metric
    names = [*expectation.lower, *expectation.higher, *expectation.inside]
    for name in names:
        if metric not in runs[name]:
            raise UsageError(
                f"Expected the metric of {expectation.text!r} among "
                f"{', '.join(sorted(runs[name]))}, got {metric!r}. Correct it: runs "
                "are kept, and are not repeated."
            )
    measured = ", ".join(f"{n} {show(runs[n][metric])}" for n in dict.fromkeys(names))
    holds = all(
        runs[high][metric]["mean"] - runs[low][metric]["mean"] > expectation.margin
        for low in expectation.lower
        for high in expectation.higher
    )
    for name in expectation.inside:
        values = runs[name][metric]["values"]
        low, high = expectation.range
        inside = [low <= v <= high for v in values]
        holds = holds and sum(inside) >= len(values) - len(values) // 5
    return {"text": expectation.text, "measured": measured, "holds": bool(holds)}


def compare_published(
    published: Published,
    entry: dict[str, Any],
    full_steps: int,
    measured_step: int,
    measured: Measured | None,
) -> dict[str, Any]:
    """Sets a published number beside a measured one.

    Args:
      published: of a configuration.
      entry: of ``published.json``.
      full_steps: the full length of the experiment.
      measured_step: of the measurement.
      measured: with ``mean`` and ``se``, or None where there is none.

    Returns:
      A row of the report; ``holds`` is None unless steps agree and a tolerance is
      given.
    """
    step = published.step or full_steps
    value = published.sign * entry["value"]
    holds = None
    if measured is not None and published.tolerance and step == measured_step:
        holds = bool(abs(measured["mean"] - value) <= published.tolerance)
    return {
        "key": published.key,
        "run": published.run,
        "metric": published.metric,
        "step": step,
        "value": value,
        "published_metric": entry["metric"],
        "table": entry["table"],
        "source": entry["source"],
        "note": entry["note"],
        "measured": measured,
        "measured_step": measured_step if measured is not None else None,
        "tolerance": published.tolerance or None,
        "holds": holds,
    }


def summarise(values: list[float]) -> Measured:
    """Mean and standard error over seeds.

    Args:
      values: one a seed.

    Returns:
      ``mean``, ``se`` (None for one value) and ``values``.
    """
    n = len(values)
    mean = math.fsum(values) / n
    se = None
    if n > 1:
        variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
        se = math.sqrt(variance / n)
    return {"mean": mean, "se": se, "values": values}


def show(measured: Measured) -> str:
    """A measurement in a few characters.

    Args:
      measured: as from :func:`summarise`.

    Returns:
      ``mean ± standard error``.
    """
    digits = 2 if abs(measured["mean"]) >= 1 else 4
    text = f"{measured['mean']:.{digits}f}"
    if measured["se"] is None:
        return text
    return f"{text} ± {measured['se']:.{digits}f}"
