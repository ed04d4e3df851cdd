"""DisARM's signals for the multi-sample bound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.battery.estimators import bound_of
from tests.coupled.problems import BITS, KEY
from tests.helpers.statistics import (
    assert_unbiased,
    exact_gradient,
    gradient_samples,
    total_variance,
)
from tests.helpers.trees import assert_close

Q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))


def log_weight(z):
    return jnp.dot(z, jnp.array([1.0, -2.0, 0.5])) + z[0] * z[1] - 3.0


def test_one_pair_is_disarm():
    pair = jd.bounds.local_disarm(log_weight, num_samples=2)
    gradients = [
        jax.jit(jax.value_and_grad(estimate, 1))(KEY, Q)
        for estimate in (pair, jd.disarm(log_weight))
    ]
    assert_close(*gradients)


def test_values_and_gradients_are_the_formula_at_the_drawn_pairs():
    num_pairs = 3
    estimate = jd.bounds.local_disarm(
        lambda z: (log_weight(z), z), num_samples=2 * num_pairs, has_aux=True
    )
    both = jax.jit(jax.vmap(jax.value_and_grad(estimate, 1, has_aux=True), (0, None)))
    (values, samples), gradients = both(jax.random.split(KEY, 20), BITS)
    weights = np.exp(
        np.asarray(jax.jit(jax.vmap(jax.vmap(log_weight)))(samples), np.float64)
    )
    samples = np.asarray(samples, np.float64)
    logits = np.asarray(BITS.logits, np.float64)
    tail = 1.0 / (1.0 + np.exp(-np.abs(logits)))
    for value, gradient, z, w in zip(
        values, gradients.logits, samples, weights, strict=True
    ):
        pairs, w = z.reshape(2, num_pairs, 3), w.reshape(2, num_pairs)
        np.testing.assert_allclose(value, np.log(w.mean(axis=1)).mean(), rtol=1e-5)
        expected = np.zeros(3)
        for held in (0, 1):
            for k in range(num_pairs):
                others = np.delete(w[held], k).sum()
                bounds = np.log((others + w[:, k]) / num_pairs)
                change = pairs[0, k] - pairs[1, k]
                expected += 0.25 * (bounds[0] - bounds[1]) * change * tail
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
    # Antithetic samples last: together on the likelier side or on both.
    likelier = logits > 0
    assert np.all((pairs == likelier).any(axis=0))


@pytest.mark.thorough
def test_three_pairs_are_unbiased_for_the_bound_of_three_samples():
    estimate = jd.bounds.local_disarm(log_weight, num_samples=6)
    samples = gradient_samples(estimate, Q)
    assert_unbiased(samples, exact_gradient(log_weight, Q, oracle=bound_of(3)))


@pytest.mark.thorough
def test_antithetic_signals_with_two_samples_at_equal_calls():
    """Twice the calls of f for less than half the variance; not so with ten samples."""
    antithetic, independent = (
        total_variance(gradient_samples(estimate, Q, num=50_000))[0]
        for estimate in (
            jd.bounds.local_disarm(log_weight, num_samples=4),
            jd.bounds.vimco(log_weight, num_samples=2),
        )
    )
    assert antithetic < 0.8 * independent / 2


@pytest.mark.parametrize(("num_samples", "match"), [(3, "an even num"), (0, ">= 2 in")])
def test_samples_come_in_pairs(num_samples, match):
    with pytest.raises(ValueError, match=rf"{match}.*bounds\.local_disarm, got"):
        jd.bounds.local_disarm(log_weight, num_samples=num_samples)
