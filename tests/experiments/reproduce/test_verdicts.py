"""Expectations and published numbers against measurements written by hand."""

import math

import pytest

from jaxdiscrete.experiments.config.claims import Expectation, Published
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.records import summarise
from jaxdiscrete.experiments.reproduce.results import PublishedNumber
from jaxdiscrete.experiments.reproduce.verdicts import (
    Verdict,
    allowed_outliers,
    check_expectation,
    compare_published,
    judge_expectation,
    judge_published,
    num_within,
)


def measured(**values):
    return {name: {"m": summarise(v)} for name, v in values.items()}


@pytest.mark.parametrize(
    ("low", "high", "margin", "holds"),
    [
        (1.0, 2.0, 0.0, True),
        (2.0, 2.0, 0.0, False),
        (2.0, 1.0, 0.0, False),
        (1.0, 2.0, 0.5, True),
        (1.0, 2.0, 1.0, False),
        (1.0, 2.0, 1.5, False),
        (1.0, 0.5, -1.0, True),
        (math.nan, 2.0, 0.0, False),
    ],
)
def test_orders_hold_by_more_than_the_margin(low, high, margin, holds):
    expectation = Expectation("text", "m", ("a",), ("b",), margin)
    got = check_expectation(expectation, measured(a=[low], b=[high]))
    assert got.holds is holds
    assert got.text == "text"
    assert list(got.measured) == ["a", "b"]
    assert got.measured["b"] == summarise([high])


def test_a_metric_that_was_not_measured_is_named():
    expectation = Expectation("text", "elbow", ("a",), ("b",))
    with pytest.raises(UsageError, match=r"of 'text' among m, got 'elbow'. Correct"):
        check_expectation(expectation, measured(a=[1.0], b=[2.0]))


def test_orders_hold_between_every_pair_and_of_means():
    expectation = Expectation("text", "m", ("a", "b"), ("c", "d"))
    runs = measured(a=[0.0, 9.0], b=[1.0], c=[5.0], d=[2.0, 8.0])
    assert check_expectation(expectation, runs).holds
    for name, value in [("a", 6.0), ("b", 5.5), ("c", 4.0), ("d", 0.5)]:
        changed = runs | measured(**{name: [value]})
        assert not check_expectation(expectation, changed).holds


@pytest.mark.parametrize(
    ("ratio", "margin", "standard_errors", "holds"),
    [
        (1.0, 0.0, 2.0, True),
        (1.0, 0.0, 2.3, False),
        (1.0, 0.9, 2.0, False),
        (1.0, 0.4, 2.0, True),
        # The error of half the lower mean is half as large.
        (0.5, 0.0, 5.0, True),
        (0.5, 0.0, 5.5, False),
    ],
)
def test_orders_hold_by_standard_errors_of_the_difference(
    ratio, margin, standard_errors, holds
):
    """Standard errors of 1 and sqrt(3): that of the difference is 2."""
    runs = measured(a=[10.0 - 3**0.5, 10.0, 10.0 + 3**0.5], b=[11.5, 14.5, 17.5])
    expectation = Expectation(
        "text", "m", ("a",), ("b",), margin, standard_errors, ratio
    )
    assert check_expectation(expectation, runs).holds is holds


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ([1.0], True),
        ([0.0], True),
        ([2.0], True),
        ([2.1], False),
        ([1.0, 1.0, 1.0, 3.0], False),
        ([1.0, 1.0, 1.0, 1.0, 3.0], True),
        ([1.0, 1.0, 1.0, -1.0, 3.0], False),
        ([1.0] * 8 + [3.0] * 2, True),
        ([1.0] * 7 + [3.0] * 3, False),
        ([1.0, math.nan], False),
    ],
)
def test_one_seed_of_five_may_lie_outside_a_range(values, holds):
    expectation = Expectation("text", "m", within=("a",), range=(0.0, 2.0))
    got = check_expectation(expectation, measured(a=values))
    assert got.holds is holds
    assert judge_expectation(got) is (Verdict.HOLDS if holds else Verdict.FAILS)


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(2.0, 4.1, True), (2.0, 4.0, False), (2.0, 3.0, False)]
)
def test_a_ratio_is_one_of_means(low, high, holds):
    expectation = Expectation("text", "m", ("a",), ("b",), ratio=2.0)
    got = check_expectation(expectation, measured(a=[low - 1, low + 1], b=[high]))
    assert got.holds is holds


def test_a_mean_in_a_range_may_have_seeds_outside():
    expectation = Expectation("text", "m", mean_within=("a",), range=(0.0, 2.0))
    for values, holds in [([-9.0, 11.0], True), ([2.5, 1.6], False), ([-1.0], False)]:
        got = check_expectation(expectation, measured(a=values))
        assert got.holds is holds
        assert list(got.measured) == ["a"]
        assert got.within == ()


def test_the_rule_of_outliers_is_one_in_five():
    allowed = [allowed_outliers(num_seeds) for num_seeds in (1, 3, 4, 5, 9, 10)]
    assert allowed == [0, 0, 0, 1, 1, 2]
    # The ends of the range are inside, and what is no number is not.
    assert num_within(summarise([0.0, 1.0, 2.0, 2.1, math.nan]), (0.0, 2.0)) == 3


def test_orders_and_ranges_must_both_hold():
    expectation = Expectation("t", "m", ("a",), ("b",), within=("b",), range=(0.0, 2.0))
    for b, holds in [(1.5, True), (3.0, False), (0.5, False)]:
        got = check_expectation(expectation, measured(a=[1.0], b=[b]))
        assert got.holds is holds
        assert list(got.measured) == ["a", "b"]


ENTRY = PublishedNumber(
    paper="p",
    experiment="e",
    dataset="d",
    model="m",
    estimator="e",
    metric="nats",
    value=100.0,
    stderr=None,
    table="T1",
    source="s",
    note="n",
)


def compare(mean, *, step=0, measured_step=50, sign=1, tolerance=1.0, **options):
    published = Published("key", "run", "test_elbo", step, sign, tolerance, **options)
    value = None if mean is None else summarise([mean])
    return compare_published(published, ENTRY, 50, measured_step, value)


@pytest.mark.parametrize(
    ("mean", "options", "holds"),
    [
        (100.5, {}, True),
        (101.0, {}, True),
        (99.0, {}, True),
        (101.0 + 1e-9, {}, False),
        (98.9, {}, False),
        (-100.5, {"sign": -1}, True),
        (100.5, {"sign": -1}, False),
        (100.0, {"tolerance": 0.0}, None),
        (100.0, {"measured_step": 40}, None),
        (100.0, {"step": 40}, None),
        (100.0, {"measured_step": 40, "any_length": True}, True),
        (90.0, {"measured_step": 40, "any_length": True}, False),
        (100.0, {"step": 40, "measured_step": 40}, True),
        (None, {}, None),
        (math.nan, {}, False),
    ],
)
def test_published_numbers_hold_within_their_tolerance(mean, options, holds):
    got = compare(mean, **options)
    assert got.holds is holds


@pytest.mark.parametrize(
    ("mean", "options", "verdict"),
    [
        (100.0, {}, Verdict.HOLDS),
        (90.0, {}, Verdict.FAILS),
        (100.0, {"tolerance": 0.0}, Verdict.NOT_CHECKED),
        (100.0, {"measured_step": 40}, Verdict.OTHER_LENGTH),
        (100.0, {"measured_step": 40, "any_length": True}, Verdict.HOLDS),
        (None, {}, Verdict.NOT_MEASURED),
        (None, {"measured_step": 40}, Verdict.NOT_MEASURED),
    ],
)
def test_verdicts_on_published_numbers(mean, options, verdict):
    assert judge_published(compare(mean, **options)) is verdict


def test_rows_say_what_stands_beside_what():
    got = compare(-99.0, sign=-1)
    assert got.value == -100.0
    assert got.step == 50
    assert got.measured == summarise([-99.0])
    assert got.measured_step == 50
    assert got.tolerance == 1.0
    assert (got.published_metric, got.table, got.source, got.note) == (
        "nats",
        "T1",
        "s",
        "n",
    )
    assert compare(None).measured_step is None
    assert compare(1.0, step=7).step == 7
    assert compare(1.0, tolerance=0.0).tolerance is None
