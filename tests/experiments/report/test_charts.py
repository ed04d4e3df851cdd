"""Curves of a report: what is in them, and the words for who cannot see them."""

import dataclasses

from jaxdiscrete.experiments.output.records import (
    Curves,
    MeasuredRun,
    Statistic,
    summarise,
)
from jaxdiscrete.experiments.report import charts
from tests.experiments.report.examples import RESULT, TOY


def test_charts_are_reproducible_and_mark_published_numbers():
    first, second = (charts.curves(RESULT) for _ in range(2))
    assert first == second
    assert [image.title for image in first] == ["train ELBO", "log variance"]
    # Not the one at two million steps, nor those of another metric.
    assert "published" not in first[0].alt
    assert "published" in first[1].alt


def test_published_numbers_beyond_the_run_are_not_marked():
    beyond = dataclasses.replace(RESULT, published=RESULT.published[2:3])
    assert "published" not in charts.curves(beyond)[1].alt


def test_words_tell_where_each_curve_ends():
    (curve,) = charts.curves(TOY)
    assert curve.title == "loss"
    assert curve.alt == (
        "Chart of loss against step. Last values: relax 0.2475 at step 100."
    )


def test_a_shared_trajectory_ends_with_its_last_number():
    (curve,) = charts.shared_curve(RESULT)
    assert "rebar -5.00 at step 0" in curve.alt
    assert charts.shared_curve(TOY) == []


def test_a_metric_without_a_number_has_no_chart():
    shared = dataclasses.replace(
        RESULT.shared_trajectory, log_variance={"rebar": (float("nan"),) * 2}
    )
    without = dataclasses.replace(RESULT, shared_trajectory=shared)
    assert charts.shared_curve(without) == []


def grid_run(estimator, temperature, bias, variance, kind=""):
    settings = {"estimator.name": estimator}
    if temperature is not None:
        settings[f"estimator.temperature{kind}"] = temperature
    final = {
        "bias": Statistic(bias, 0.01, (bias,)),
        "log_variance": summarise([variance]),
    }
    return MeasuredRun(estimator, 1, settings, final, Curves((), {}))


def test_a_grid_is_drawn_against_temperature():
    runs = {
        "gumbel_softmax_2": grid_run("gumbel_softmax", 2.0, 0.2, -5.0),
        "gumbel_softmax_0.5": grid_run(
            "gumbel_softmax", 0.5, 0.05, -1.0, ".arguments.value"
        ),
        "reinforce": grid_run("reinforce", None, 0.001, -2.0),
    }
    bias, variance = charts.against_temperature(dataclasses.replace(TOY, runs=runs))
    assert bias.alt == (
        "Chart of bias against temperature. Last values: "
        "gumbel_softmax 0.2 at temperature 2, reinforce 0.001 at temperature 2."
    )
    assert "gumbel_softmax -5.00 at temperature 2" in variance.alt
    # A temperature of a trained run is a setting like any other.
    trained = grid_run("gumbel_softmax", 2.0, 0.2, -5.0)
    trained.final.pop("bias")
    result = dataclasses.replace(TOY, runs={"a": trained})
    assert charts.against_temperature(result) == []
