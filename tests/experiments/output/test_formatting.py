"""How numbers, metrics and lengths of time are printed."""

# ruff: noqa: RUF001 - the en dash in place of a number

import math

import pytest

from jaxdiscrete.experiments.output import formatting
from jaxdiscrete.experiments.output.records import Statistic, summarise


@pytest.mark.parametrize(
    ("mean", "error", "metric", "expected"),
    [
        (-101.234, 0.1, "test_bound", "-101.23 ± 0.10"),
        (-4.3, 0.0031, "log_variance", "-4.300 ± 0.003"),
        (-0.001, None, "test_elbo", "0.00"),
        (-4.3, 0.0, "log_variance", "-4.30 ± 0"),
        (-4.3, 1e-12, "log_variance", "-4.3000000 ± 0.0000000"),
        (0.247501, 0.00012, "loss", "0.24750 ± 0.00012"),
        (0.2491025, 0.0000094, "loss", "0.2491025 ± 0.0000094"),
        (2.5e-7, 1e-9, "loss", "2.500e-07 ± 1.0e-09"),
        (0.0, 1e-9, "loss", "0.0e+00 ± 1.0e-09"),
        (1234.5, 67.0, "steps_per_second", "1,234 ± 67"),
        (1234.5, 670.0, "steps_per_second", "1,234 ± 670"),
        (123456.0, 6789.0, "unheard_of", "123,456 ± 6,789"),
        (3, None, "unheard_of", "3"),
        (0.12345678, None, "unheard_of", "0.1235"),
        (1234.5, None, "loss", "1,234"),
        (math.inf, 0.1, "loss", "–"),
        (math.nan, None, "loss", "–"),
        (-4.3, math.nan, "log_variance", "-4.30"),
        (-87.337, 0.0, "encoder_log_variance", "-∞"),
        (-87.337, None, "log_variance", "-∞"),
        (-87.337 + math.log(64), 0.0, "log_variance_times_calls", "-∞"),
        (-87.337, None, "loss", "-87.34"),
    ],
)
def test_means_and_standard_errors(mean, error, metric, expected):
    assert formatting.statistic(Statistic(mean, error, ()), metric) == expected


def test_what_was_not_measured_is_a_dash():
    assert formatting.statistic(None, "loss") == "–"
    assert formatting.number(None, "loss") == "–"
    assert formatting.as_given(None) == "–"
    assert formatting.duration(None) == "–"


def test_a_mean_over_seeds_has_its_error():
    assert formatting.statistic(summarise([1.0, 2.0]), "test_elbo") == "1.50 ± 0.50"
    assert formatting.statistic(summarise([-3.456]), "test_elbo") == "-3.46"


def test_published_numbers_keep_their_digits():
    given = (-4.2, 50_000, -112.5, 0.0001, 1e6)
    expected = ["-4.2", "50,000", "-112.5", "0.0001", "1,000,000"]
    assert [formatting.as_given(value) for value in given] == expected


def test_durations():
    seconds = (0.25, 59.4, 812.0, 11_160)
    expected = ["0.2 s", "59 s", "13 min 32 s", "3 h 6 min"]
    assert [formatting.duration(s) for s in seconds] == expected


def test_estimated_times_have_the_unit_of_their_size():
    hours = (3.1, 1.0, 0.5, 1 / 60, 0.01, 1 / 3600)
    assert [formatting.rough_duration(h) for h in hours] == [
        "about 3.1 hours",
        "about 1.0 hours",
        "about 30 minutes",
        "about 1 minute",
        "about 36 seconds",
        "about 1 second",
    ]


def test_metrics_know_their_unit_and_decimals():
    bound = formatting.find_metric("valid_bound")
    assert (bound.unit, bound.decimals) == ("nats", 2)
    assert bound.starts_far_off
    # A logarithm has no unit, and is of interest from its first step on.
    variance = formatting.find_metric("log_variance")
    assert (variance.unit, variance.decimals) == ("", 2)
    assert not variance.starts_far_off
    assert formatting.label("test_elbo_se") == "s.e. of test ELBO over images"
    assert formatting.label("something_new") == "something new"


def test_metrics_are_shown_in_the_order_of_the_table():
    names = ["unheard_of", "seconds", "test_elbo", "log_variance", "train_elbo"]
    expected = ["train_elbo", "test_elbo", "log_variance", "seconds", "unheard_of"]
    assert formatting.in_order(names) == expected
