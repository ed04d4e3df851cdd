"""Claims of a paper about an experiment, as a configuration states them."""

from __future__ import annotations

import dataclasses
from typing import Literal

from jaxdiscrete.experiments.settings.fields import bounded


@dataclasses.dataclass(frozen=True)
class Published:
    """A published number, and which measurement of ours stands beside it."""

    key: str
    """The number's key in configs/published.json."""
    run: str
    """The run that is measured."""
    metric: str
    """A final metric, or one of the curve at the step."""
    step: int = bounded(0, at_least=0)
    """Training step at which it was published. Default: the full length."""
    sign: Literal[1, -1] = 1
    """-1 where the paper prints a negative log-likelihood and we its negative."""
    tolerance: float = bounded(0.0, at_least=0)
    """Largest difference that counts as reproduced. Default: none is claimed."""
    any_length: bool = False
    """Whether the metric is the same at every length of the run."""


@dataclasses.dataclass(frozen=True)
class Expectation:
    """An order of runs, or a range of one run, that must hold at the short length."""

    text: str
    """The expectation in words."""
    metric: str
    """A final metric, or one of the shared trajectory."""
    lower: tuple[str, ...] = ()
    """Runs of lower values than ``higher``, in their means over seeds."""
    higher: tuple[str, ...] = ()
    """Runs of higher values."""
    margin: float = 0.0
    """Least difference of the means."""
    standard_errors: float = bounded(0.0, at_least=0)
    """Least difference beyond the margin, in standard errors of the difference over
    seeds."""
    ratio: float = bounded(1.0, above=0)
    """The lower means count this many times, for a least ratio."""
    within: tuple[str, ...] = ()
    """Runs whose seeds lie in the range, but for one of every five."""
    mean_within: tuple[str, ...] = ()
    """Runs whose mean over seeds lies in the range."""
    range: tuple[float, ...] = ()
    """Least and largest value of the runs in ``within`` and ``mean_within``."""
    trajectory: bool = False
    """The values are those measured along the shared trajectory."""
    from_step: int = bounded(0, at_least=0)
    """Step of that trajectory from which on the order of mean log variances holds, at
    every one that is measured. Default: it holds at the end."""

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that it is about."""
        return (*self.lower, *self.higher, *self.within, *self.mean_within)


@dataclasses.dataclass(frozen=True)
class Claim:
    """The origin of an experiment, and everything that it is expected to show."""

    paper: str = ""
    """The paper's short name."""
    title: str = ""
    """The experiment's title."""
    reference: str = ""
    """Authors, title, year."""
    where: str = ""
    """Table or figure."""
    full_hours: float = bounded(0.0, at_least=0)
    """Rough hours of all runs at the full length on 2 CPU cores, extrapolated from
    steps of this or a similar model."""
    notes: tuple[str, ...] = ()
    """Differences between the runs and the paper's."""
    published: tuple[Published, ...] = ()
    """Numbers of the paper."""
    expectations: tuple[Expectation, ...] = ()
    """Orders and ranges that must come out at the short length."""


@dataclasses.dataclass(frozen=True)
class ShortLength:
    """The length that fits minutes, at which expectations are checked."""

    num_steps: int = bounded(20_000, at_least=1)
    """Gradient steps."""
    runs: tuple[str, ...] = ()
    """The runs that are trained. Default: all."""
    num_seeds: int = bounded(1, at_least=1)
    """Seeds of every run, from the configured one on."""
    seeds_together: bool = False
    """Whether the seeds of a run are trained in one compiled program, which small
    models gain from. A run that is cut, or lacks a seed, then starts again."""
    num_test_examples: int = bounded(1000, at_least=1)
    """Randomly chosen examples in the final bounds."""
    num_samples: int = bounded(100, at_least=1)
    """Samples per example in the final bounds."""
    shared_trajectory: str = ""
    """Run along which all estimators' variances are measured. Default: none."""
    trajectory_steps: int = bounded(20_000, at_least=1)
    """Steps of that run."""
    trajectory_runs: tuple[str, ...] = ()
    """The runs that are measured along it. Default: all."""
    trajectory_seeds: int = bounded(1, at_least=1)
    """Number of trajectories."""
