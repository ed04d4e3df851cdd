"""Verdicts on measurements beside what was published and expected."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jaxdiscrete.experiments.config.claims import Expectation, Published
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.records import Statistic
from jaxdiscrete.experiments.reproduce.results import (
    ExpectationOutcome,
    PublishedNumber,
    PublishedOutcome,
    Result,
)

#: One seed of so many may lie outside the range of an expectation.
SEEDS_PER_OUTLIER = 5


class Verdict(enum.Enum):
    """The words that can be said of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    NOT_CHECKED = "not checked"
    NOT_MEASURED = "not measured"
    OTHER_LENGTH = "not comparable: other length"


class Tally(NamedTuple):
    """Claims that were checked, and those of them that hold."""

    holds: int
    checked: int
    other_length: int


def allowed_outliers(num_seeds: int) -> int:
    """The number of a run's seeds that may lie outside an expected range.

    It is one in every five: none of fewer than five seeds, one of five to nine. Some
    estimators are known to fail for a seed now and then, and a range that holds for
    four of five says more than one so wide that it holds for all.
    """
    return num_seeds // SEEDS_PER_OUTLIER


def num_within(statistic: Statistic, bounds: tuple[float, ...]) -> int:
    """The number of seeds in a range, its ends included."""
    low, high = bounds
    return sum(low <= value <= high for value in statistic.values)


def check_expectation(
    expectation: Expectation, runs: Mapping[str, Mapping[str, Statistic]]
) -> ExpectationOutcome:
    """Compares an expectation with measurements.

    Args:
      expectation: an order of means, a range of seeds or of means, or several.
      runs: metrics by run.

    Raises:
      UsageError: if a run has no such metric.
    """
    metric = expectation.metric
    for name in expectation.runs:
        if metric not in runs[name]:
            raise UsageError(
                f"Expected the metric of {expectation.text!r} among "
                f"{', '.join(sorted(runs[name]))}, got {metric!r}. Correct it: runs "
                "are kept, and are not repeated."
            )
    measured = {name: runs[name][metric] for name in dict.fromkeys(expectation.runs)}
    holds = all(
        measured[high].mean - expectation.ratio * measured[low].mean
        > expectation.margin
        + expectation.standard_errors
        * _error_of_difference(measured[high], measured[low], expectation.ratio)
        for low in expectation.lower
        for high in expectation.higher
    )
    for name in expectation.within:
        num_seeds = len(measured[name].values)
        outside = num_seeds - num_within(measured[name], expectation.range)
        holds = holds and outside <= allowed_outliers(num_seeds)
    for name in expectation.mean_within:
        least, largest = expectation.range
        holds = holds and least <= measured[name].mean <= largest
    return ExpectationOutcome(
        text=expectation.text,
        metric=metric,
        measured=measured,
        within=expectation.within,
        range=expectation.range,
        holds=holds,
    )


def _error_of_difference(high: Statistic, low: Statistic, ratio: float) -> float:
    """The standard error of one mean less another, over seeds that are independent."""
    errors = high.standard_error or 0.0, low.standard_error or 0.0
    return math.hypot(errors[0], ratio * errors[1])


def compare_published(
    published: Published,
    entry: PublishedNumber,
    full_steps: int,
    measured_step: int,
    measured: Statistic | None,
) -> PublishedOutcome:
    """Sets a published number beside a measured one.

    Args:
      published: what a configuration says of the number.
      entry: the number itself.
      full_steps: the full length of the experiment.
      measured_step: the step of the measurement.
      measured: the measurement, or None where there is none.
    """
    step = measured_step if published.any_length else published.step or full_steps
    value = published.sign * entry.value
    holds = None
    if measured is not None and published.tolerance and step == measured_step:
        holds = abs(measured.mean - value) <= published.tolerance
    return PublishedOutcome(
        key=published.key,
        run=published.run,
        metric=published.metric,
        step=step,
        value=value,
        published_metric=entry.metric,
        table=entry.table,
        source=entry.source,
        note=entry.note,
        measured=measured,
        measured_step=None if measured is None else measured_step,
        tolerance=published.tolerance or None,
        holds=holds,
    )


def judge_expectation(outcome: ExpectationOutcome) -> Verdict:
    """The verdict on an expectation."""
    return Verdict.HOLDS if outcome.holds else Verdict.FAILS


def judge_published(outcome: PublishedOutcome) -> Verdict:
    """The verdict on a published number, as far as there can be one."""
    if outcome.measured is None:
        return Verdict.NOT_MEASURED
    if outcome.holds is not None:
        return Verdict.HOLDS if outcome.holds else Verdict.FAILS
    if outcome.step == outcome.measured_step:
        return Verdict.NOT_CHECKED
    return Verdict.OTHER_LENGTH


def tally(results: Iterable[Result]) -> Tally:
    """Counts claims, which are expectations and comparable published numbers."""
    verdicts = []
    for result in results:
        verdicts += [judge_expectation(e) for e in result.expectations]
        verdicts += [judge_published(p) for p in result.published]
    holds, fails = verdicts.count(Verdict.HOLDS), verdicts.count(Verdict.FAILS)
    return Tally(holds, holds + fails, verdicts.count(Verdict.OTHER_LENGTH))
