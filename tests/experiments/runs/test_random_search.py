"""Gradients of a sum of squares against their moments in closed form."""

import numpy as np
import pytest

from jaxdiscrete.experiments.config.grid import RandomSearch
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.output.records import Statistic, summarise
from jaxdiscrete.experiments.runs.random_search import fit_power, measure

SIZES, OFFSETS = (4, 16, 64), (0, 100, 1000)
GRID = RandomSearch(
    num_gradients=400, sizes=SIZES, offsets=OFFSETS, offset_size=16, target=0.45
)
#: The value of a bit is .3025 or .2025.
MEAN, VARIANCE = 0.2525, 0.05**2


@pytest.fixture(scope="module")
def runs():
    names = ("reinforce", "reinforce_loo", "local_expectation")
    return measure(GRID, {name: ESTIMATORS[name]() for name in names})


def second_moment(size, offset=0.0):
    """Of f, whose squared score is a quarter per bit."""
    return (MEAN * size + offset) ** 2 + VARIANCE * size


@pytest.mark.thorough
def test_norms_of_reinforce(runs):
    band = runs["reinforce"].against["variables"].metrics["gradient_norm"]
    for size, got, error in zip(SIZES, band.mean, band.standard_error, strict=True):
        expected = np.sqrt(size / 4 * second_moment(size))
        assert abs(got - expected) < 4.5 * error < 0.05 * expected


@pytest.mark.thorough
def test_norms_of_the_exact_gradient(runs):
    run = runs["local_expectation"]
    norms = run.against["variables"].metrics["gradient_norm"].mean
    np.testing.assert_allclose(norms, 0.025 * np.sqrt(SIZES), rtol=1e-4)
    assert run.final["exponent"].mean == pytest.approx(0.5, abs=1e-4)
    # It is not random, and a ratio of rounding errors says nothing.
    assert set(run.final) == {"exponent"}
    assert set(run.against) == {"variables"}


def test_exponents_differ_by_the_root_of_the_size(runs):
    reinforce, loo = (runs[n].final["exponent"] for n in ("reinforce", "reinforce_loo"))
    assert reinforce.mean == pytest.approx(1.49, abs=0.03)
    assert loo.mean == pytest.approx(1.0, abs=0.1)


def test_an_offset_costs_its_square_or_nothing(runs):
    curve = runs["reinforce"].against["offset"]
    assert curve.steps == OFFSETS
    variances = [second_moment(16, c) / 4 - 0.025**2 for c in OFFSETS]
    np.testing.assert_allclose(curve.metrics["variance"].mean, variances, rtol=0.05)
    ratio = runs["reinforce"].final["variance_ratio"].mean
    assert ratio == pytest.approx(variances[2] / variances[1], rel=1e-3)
    assert runs["reinforce_loo"].final["variance_ratio"].mean == pytest.approx(
        1.0, abs=1e-3
    )


def test_powers_are_fitted_on_logarithms():
    x = (1, 10, 100)
    exact = fit_power(x, [summarise([3.0 * v**1.5]) for v in x])
    assert exact.exponent == pytest.approx(1.5)
    assert exact.standard_error == 0.0
    noisy = fit_power(x, [Statistic(3.0 * v**1.5, 0.3 * v**1.5, ()) for v in x])
    # The ends count, each with weight 1 / (2 ln 10), and are known to a tenth.
    assert noisy.standard_error == pytest.approx(0.1 * np.sqrt(2) / np.log(100))
