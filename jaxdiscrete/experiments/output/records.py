"""Measurements of runs as frozen records."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A metric over the seeds of a run."""

    mean: float
    standard_error: float | None
    """None for one seed."""
    values: tuple[float, ...]
    """One per seed."""


@dataclasses.dataclass(frozen=True)
class Band:
    """A curve over the seeds of a run."""

    mean: tuple[float, ...]
    standard_error: tuple[float, ...] | None
    """None for one seed."""


@dataclasses.dataclass(frozen=True)
class Curves:
    """Metrics in the course of training."""

    steps: tuple[int, ...]
    metrics: dict[str, Band]
    """Bands with one entry per step."""


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """One run at the end of training."""

    run: str
    """The name of the run's folder."""
    estimator: str
    dataset: str
    """The title of the data set."""
    steps: int
    seconds: float
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class SweepRun:
    """One run of a sweep after its last block."""

    run: str
    """A name made of what differs between the runs."""
    seed: int
    values: dict[str, float]
    """The settings that differ, by their dotted names."""
    steps: int
    seconds: float
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class FollowedEstimator:
    """One estimator at the parameters that another one trains."""

    calls_of_f: int
    metrics: dict[str, Statistic]


@dataclasses.dataclass(frozen=True)
class SharedTrajectory:
    """Variances of several estimators along the trajectory of one."""

    driver: str
    """The estimator that trains the model."""
    steps: int
    seeds: tuple[int, ...]
    runs: dict[str, FollowedEstimator]
    curve_steps: tuple[int, ...]
    log_variance: dict[str, tuple[float, ...]]
    """Means over seeds by run, one entry per step of the curve."""


@dataclasses.dataclass(frozen=True)
class MeasuredRun:
    """One run of an experiment over its seeds."""

    estimator: str
    calls_of_f: int | None
    settings: dict[str, Any]
    """By their dotted names."""
    final: dict[str, Statistic]
    curves: Curves
    against: dict[str, Curves] = dataclasses.field(default_factory=dict)
    """Curves against something else than the step, by its name."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Everything that the runs of an experiment give."""

    dataset: str
    """The title of the data."""
    steps: int
    seeds: tuple[int, ...]
    runs: dict[str, MeasuredRun]
    shared_trajectory: SharedTrajectory | None = None
    images: dict[str, str] = dataclasses.field(default_factory=dict)
    """Paths of PNG files by title."""
    texts: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Samples of text by run."""
    seconds_before: float = 0.0
    """Time of the runs that were there already."""


def summarise(values: Sequence[float]) -> Statistic:
    """Mean and standard error over seeds, in two passes."""
    n = len(values)
    mean = math.fsum(values) / n
    error = None
    if n > 1:
        variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
        error = math.sqrt(variance / n)
    return Statistic(mean, error, tuple(values))


def make_band(points: Sequence[Statistic]) -> Band:
    """The curve through statistics of one metric at several steps."""
    errors = [p.standard_error for p in points if p.standard_error is not None]
    means = tuple(p.mean for p in points)
    return Band(means, tuple(errors) if len(errors) == len(points) else None)


def at_step(curves: Curves, metric: str, step: int) -> Statistic | None:
    """A metric in the course of training, without the values of single seeds.

    Args:
      curves: of a run.
      metric: any.
      step: a training step.

    Returns:
      None where the curves have not this metric at that step.
    """
    if metric not in curves.metrics or step not in curves.steps:
        return None
    band, i = curves.metrics[metric], curves.steps.index(step)
    errors = band.standard_error
    return Statistic(band.mean[i], None if errors is None else errors[i], ())
