"""Curves of a report: what is in them, and the words for who cannot see them."""

import dataclasses

from jaxdiscrete.experiments.output.records import (
    Curves,
    MeasuredRun,
    Statistic,
    summarise,
)
from jaxdiscrete.experiments.report import charts, tables
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


def test_only_variances_of_zero_make_no_chart():
    shared = RESULT.shared_trajectory
    zero = dataclasses.replace(shared, log_variance={"rebar": (-87.337,) * 2})
    both = dataclasses.replace(
        shared, log_variance={"exact": (-87.337,) * 2, "rebar": (-4.0, -5.0)}
    )
    for trajectory, words in ((zero, None), (both, "exact -∞ at step")):
        charted = dataclasses.replace(RESULT, shared_trajectory=trajectory)
        found = charts.shared_curve(charted)
        assert [words in image.alt for image in found] == ([True] if words else [])


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


def sentences():
    """A result of sentences at three temperatures, beside published pairs."""
    final = {"loss": 1.0}
    for suffix, oracle, test in (
        ("", 9.2, 8.2),
        ("@1.5", 7.9, 9.4),
        ("@0.7", 9.8, 7.9),
    ):
        final |= {f"nll_oracle{suffix}": oracle, f"nll_test{suffix}": test}
    run = MeasuredRun(
        estimator="exact",
        calls_of_f=None,
        settings={},
        final={name: summarise([value]) for name, value in final.items()},
        curves=Curves((), {}),
    )
    published = [
        dataclasses.replace(
            RESULT.published[0],
            key=f"paper/experiment/seqgan-re-run/{metric}-{alpha}",
            run="mle",
            metric=metric.lower(),
            value=value,
            published_metric=f"{metric} at inverse temperature {alpha}",
        )
        for metric, alpha, value in (
            ("NLL_oracle", "0.50", 10.0),
            ("NLL_test", "0.50", 8.0),
            ("NLL_oracle", "1.00", 9.5),
        )
    ]
    texts = {"mle": ("a dog | cat", "a cat")}
    return dataclasses.replace(
        TOY, runs={"mle": run}, published=tuple(published), texts=texts
    )


def test_quality_stands_against_diversity_from_hot_to_cold():
    """A published number without its other half is no point."""
    (image,) = charts.quality_against_diversity(sentences())
    assert image.title == "NLL_test against NLL_oracle, along inverse temperatures"
    assert image.alt == (
        "Chart of NLL_test against NLL_oracle, along inverse temperatures: "
        "mle from 9.8, 7.9; published: seqgan re run from 10, 8."
    )
    assert image == charts.quality_against_diversity(sentences())[0]
    assert charts.quality_against_diversity(RESULT) == []


def test_samples_are_a_table():
    table = tables.samples(sentences())
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["mle", "a dog | cat"],
        ["", "a cat"],
    ]
    assert tables.samples(RESULT) is None
