"""One meaning of ``baseline=`` everywhere: the second moment, or a squared error."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.samplers import BareSampler
from tests.helpers.statistics import assert_gradient_unbiased, exact_gradient

KEY = jax.random.key(3)
Q = jd.Bernoulli(jnp.array([0.4, -0.7]))


def f(z):
    return 2.0 * z[0] + 3.0 * z[0] * z[1] ** 2 + 1.0


def control(z):
    return jnp.sum(z)


BUILD = {
    "reinforce": lambda b: jd.reinforce(f, baseline=b),
    "control_variate": lambda b: jd.control_variate(
        f, control, lambda q: q.mean().sum(), baseline=b
    ),
    "muprop": lambda b: jd.muprop(f, baseline=b),
    "muprop_second_order": lambda b: jd.muprop_second_order(f, baseline=b),
    "rebar": lambda b: jd.rebar(f, temperature=0.6, baseline=b),
    "relax": lambda b: jd.relax(f, control, temperature=0.6, baseline=b),
    "relax_rebar": lambda b: jd.relax_rebar(f, control, temperature=0.6, baseline=b),
    "sum_and_sample": lambda b: jd.sum_and_sample(f, num_samples=2, baseline=b),
    "partial_enumeration": lambda b: jd.partial_enumeration(
        f, num_states=1, baseline=b
    ),
}


#: One for each place in which a baseline is subtracted.
DAILY = {"reinforce", "rebar", "sum_and_sample"}


def test_every_transform_with_a_baseline_is_here():
    """NVIL is least squares by its definition, and nothing trains DiCE's."""
    names = {
        name
        for name in jd.__all__
        if inspect.isfunction(getattr(jd, name))
        and "baseline" in inspect.signature(getattr(jd, name)).parameters
    }
    assert names == {*BUILD, "nvil", "dice", "least_squares", "score_function_loss"}


@pytest.mark.parametrize("name", daily(DAILY, BUILD))
def test_a_plain_baseline_is_trained_by_the_second_moment(name):
    def second_moment(b, key):
        gradient = jax.grad(BUILD[name](b), argnums=1)(key, Q)
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient))

    keys, step = jax.random.split(KEY, 200), 0.05

    @jax.jit
    def received_and_expected(b):
        received = jax.vmap(jax.grad(lambda b, k: BUILD[name](b)(k, Q)), (None, 0))
        moments = jax.vmap(jax.vmap(second_moment, (None, 0)), (0, None))
        above, below = moments(jnp.stack([b + step, b - step]), keys)
        # A quadratic in b: central differences are exact for every key.
        return received(b, keys), (above - below) / (2.0 * step)

    received, expected = received_and_expected(jnp.array(0.8))
    np.testing.assert_allclose(received, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", daily(DAILY, BUILD))
def test_in_least_squares_it_is_fitted_by_squared_error(name):
    """And the gradient to q is the same as with a plain one of that value."""
    b = jnp.array(0.8)

    def both(wrap, b, q):
        return BUILD[name](wrap(b))(KEY, q)

    fitted = jax.value_and_grad(lambda *x: both(jd.least_squares, *x), (0, 1))
    plain = jax.grad(lambda *x: both(lambda b: b, *x), 1)
    (value, (to_b, to_q)), expected = jax.jit(lambda *x: (fitted(*x), plain(*x)))(b, Q)
    np.testing.assert_allclose(to_q.logits, expected.logits, rtol=1e-5, atol=1e-6)
    if name not in ("sum_and_sample", "partial_enumeration"):
        np.testing.assert_allclose(to_b, b - value, rtol=1e-5)
    else:
        # Of f at the state that was sampled, one of the four.
        states = [f(jnp.array([i, j], jnp.float32)) for i in (0, 1) for j in (0, 1)]
        assert min(abs(float(to_b - (b - v))) for v in states) < 1e-5


@pytest.mark.parametrize("name", daily(DAILY, BUILD))
def test_both_are_unbiased(name):
    estimate = BUILD[name](jd.least_squares(lambda: 0.8))
    assert_gradient_unbiased(estimate, Q, expected=exact_gradient(f, Q))


def test_least_squares_serves_samplers_that_give_only_log_prob():
    def loss(b):
        estimate = jd.reinforce(f, baseline=jd.least_squares(b))
        return estimate(KEY, BareSampler(Q.logits))

    b = jnp.array(0.3)
    value, slope = jax.jit(jax.value_and_grad(loss))(b)
    np.testing.assert_allclose(slope, b - value, rtol=1e-6)


def test_the_weight_of_an_example_and_its_sign_do_not_turn_the_fit_around():
    def loss(b, weight):
        return weight * BUILD["rebar"](jd.least_squares(b))(KEY, Q)

    slope, b = jax.jit(jax.grad(loss)), jnp.array(0.8)
    np.testing.assert_allclose(slope(b, -3.0), 3.0 * slope(b, 1.0), rtol=1e-6)
