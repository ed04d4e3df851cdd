"""Estimators of a Gaussian, where f is a polynomial of second order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.gaussian import expansion
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.tasks.logistic_regression.task import Gaussian

CURVATURE = jnp.array([[2.0, 0.5, 0.0], [0.5, -1.0, 0.3], [0.0, 0.3, 0.7]])
SLOPE = jnp.array([1.0, -2.0, 0.5])
LOC, SCALE = jnp.array([0.3, -0.4, 0.1]), jnp.array([0.5, 1.2, 0.8])
STEP = jnp.asarray(0)


def f(w, offset):
    return 0.5 * w @ CURVATURE @ w + SLOPE @ w + offset


def gradient(name, key=0, **settings):
    """Of the estimate with an offset of 2, with respect to mean and scale."""
    estimate = ESTIMATORS[name](**settings).build(f, {}, STEP)

    def loss(loc, scale):
        q = jd.as_sampler(Gaussian(loc, scale))
        return estimate(jax.random.key(key), q, jnp.asarray(2.0))

    return jax.jit(jax.value_and_grad(loss, (0, 1)))(LOC, SCALE)


def test_an_expansion_is_the_function_and_its_mean_the_expectation():
    control, mean = expansion(lambda w: f(w, 2.0), LOC)
    w = jnp.array([1.0, 2.0, -1.0])
    assert control(w) == pytest.approx(float(f(w, 2.0)), rel=1e-5)
    q = jd.as_sampler(Gaussian(LOC + 0.1, SCALE))
    expected = f(LOC + 0.1, 2.0) + 0.5 * jnp.diag(CURVATURE) @ SCALE**2
    assert mean(q) == pytest.approx(float(expected), rel=1e-5)


def test_the_delta_method_has_no_variance_where_the_expansion_is_exact():
    _, (of_loc, of_scale) = gradient("delta_method", num_pilots=4)
    np.testing.assert_allclose(of_loc, CURVATURE @ LOC + SLOPE, atol=1e-4)
    np.testing.assert_allclose(of_scale, jnp.diag(CURVATURE) * SCALE, atol=1e-4)


@pytest.mark.thorough
def test_the_delta_method_needs_no_expansion_of_what_has_no_slope():
    """The control is a constant, and so is what is left of it."""
    estimate = ESTIMATORS["delta_method"]().build(lambda w: 0.0 * w.sum(), {}, STEP)
    q = jd.as_sampler(Gaussian(LOC, SCALE))
    found = jax.jit(jax.grad(lambda q: estimate(jax.random.key(0), q)))(q)
    assert all(float(jnp.abs(leaf).max()) == 0.0 for leaf in jax.tree.leaves(found))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["pathwise", "measure_valued_gaussian"])
def test_what_f_closes_over_has_its_own_derivative(name):
    estimate = ESTIMATORS[name]().build(lambda w, a: a * f(w, 2.0), {}, STEP)
    q = jd.as_sampler(Gaussian(LOC, SCALE))
    value, slope = jax.value_and_grad(lambda a: estimate(jax.random.key(0), q, a))(1.0)
    assert value == pytest.approx(float(slope), rel=1e-5)


def test_coupled_samples_of_a_mean_cancel_what_is_even():
    """f is the quadratic part alone at a mean of zero: both samples have one cost."""
    build = ESTIMATORS["measure_valued_gaussian"]
    for is_coupled in (True, False):
        estimate = build(is_coupled=is_coupled).build(
            lambda w: jnp.sum(jnp.square(w)), {}, STEP
        )
        of_loc = jax.grad(
            lambda loc, estimate=estimate: estimate(
                jax.random.key(1), jd.as_sampler(Gaussian(loc, SCALE))
            )
        )(jnp.zeros(3))
        assert (float(jnp.abs(of_loc).max()) < 1e-5) == is_coupled


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "settings", "calls"),
    [
        ("pathwise", {"num_repeats": 3}, 3),
        ("measure_valued_gaussian", {"num_repeats": 2}, 2 * (1 + 4 * 3)),
    ],
)
def test_calls_of_f(name, settings, calls):
    estimator, counted = ESTIMATORS[name](**settings), []

    def counting(w):
        jax.debug.callback(counted.append, w)
        return f(w, 2.0)

    q = jd.as_sampler(Gaussian(LOC, SCALE))
    estimate = estimator.build(counting, {}, STEP)
    jax.block_until_ready(jax.jit(estimate)(jax.random.key(0), q))
    jax.effects_barrier()
    assert len(counted) == estimator.calls_of_f(3, 0) == calls
    assert estimator.facts.is_unbiased


def test_calls_of_the_delta_method():
    """Those for values: one per repeat and pilot, and one at the mean."""
    settings = {"num_repeats": 2, "num_pilots": 5}
    assert ESTIMATORS["delta_method"](**settings).calls_of_f(3, 0) == 2 + 5 + 1
