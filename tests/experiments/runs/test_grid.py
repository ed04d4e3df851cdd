"""The talk's example: estimators against an exact gradient."""

import dataclasses

import numpy as np
import pytest
from rich.console import Console

import jaxdiscrete as jd
from jaxdiscrete.experiments.config.load import load_experiment
from jaxdiscrete.experiments.config.shipped import find_config
from jaxdiscrete.experiments.runs import grid

SILENT = Console(quiet=True)
UNBIASED = {
    "rebar",
    "reinforce",
    "reinforce_loo",
    "reinforce_optimal_baseline",
    "muprop",
}


@pytest.fixture(scope="module")
def talk():
    """The shipped grid at two temperatures, with fewer gradients."""
    shipped = load_experiment(find_config("talk/cos")).grid
    settings = dataclasses.replace(
        shipped.settings, temperatures=(0.2, 2.0), num_gradients=20_000
    )
    return dataclasses.replace(shipped, settings=settings)


@pytest.fixture(scope="module")
def measured(talk):
    return grid.measure(talk)


@pytest.fixture(scope="module")
def runs(talk, measured):
    return {
        name: grid.as_run(estimator, talk, measured.estimators[name])
        for name, estimator in talk.runs.items()
    }


@pytest.mark.thorough
def test_the_oracle_is_the_gradient_by_hand(talk, measured):
    weights = np.exp(np.array(talk.settings.logits))
    p, cos = weights / weights.sum(), np.cos(np.arange(4))
    gradient = p * (cos - p @ cos)
    np.testing.assert_allclose(measured.oracle.mean, gradient, atol=1e-6)


@pytest.mark.thorough
def test_unbiased_estimators_agree_with_the_exact_gradient(talk, measured):
    checked = set()
    for name, estimator in talk.runs.items():
        if estimator.facts.is_unbiased:
            assert measured.estimators[name].max_abs_z < 4.5, name
            checked.add(estimator.name)
    assert checked == UNBIASED


@pytest.mark.thorough
def test_gumbel_softmax_trades_bias_for_variance(runs):
    low, high = (runs[f"gumbel_softmax_{t}"].final for t in ("0.2", "2"))
    noise = low["bias"].standard_error + high["bias"].standard_error
    assert low["bias"].mean + 5 * noise < high["bias"].mean
    assert low["log_variance"].mean > high["log_variance"].mean + 1.0


@pytest.mark.thorough
def test_straight_through_is_biased(runs):
    bias = runs["straight_through"].final["bias"]
    assert bias.mean > 10 * bias.standard_error
    ratio = runs["straight_through"].final["bias_in_standard_errors"].mean
    assert ratio == pytest.approx(bias.mean / bias.standard_error)


def test_the_critical_temperature_is_among_them(talk):
    critical = jd.critical_temperature(4)
    assert talk.runs[f"rebar_{critical:g}"].temperature == critical
    assert len(talk.runs) == 3 * 3 + 5


def test_what_is_measured_has_its_settings_and_its_calls(talk):
    few = dataclasses.replace(talk.settings, num_gradients=2_000, temperatures=(2.0,))
    two = {n: talk.estimators[n] for n in ("reinforce_loo", "gumbel_softmax")}
    talk = dataclasses.replace(talk, settings=few, estimators=two)
    found = grid.measure(talk).estimators
    assert set(found) == set(talk.runs)
    names = ("reinforce_loo", "gumbel_softmax_2")
    loo, relaxed = (grid.as_run(talk.runs[n], talk, found[n]) for n in names)
    assert loo.calls_of_f == 4
    assert found["reinforce_loo"].max_abs_z < 4.5 < found["gumbel_softmax_2"].max_abs_z
    assert relaxed.settings["grid.num_gradients"] == 2_000
    assert relaxed.final["bias"].mean > loo.final["bias"].mean


@pytest.mark.thorough
def test_variances_are_means_over_the_logits(measured, runs):
    variance = measured.estimators["reinforce"].variance.mean()
    got = runs["reinforce"].final["log_variance"].mean
    assert got == pytest.approx(np.log(variance))
    assert runs["reinforce_loo"].calls_of_f == 4
