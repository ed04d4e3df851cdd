"""Samples that were drawn elsewhere, and whether they are samples of q."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import PARAMS, START, chain

BITS = jd.Bernoulli(jnp.array([0.3, -0.4]))
CLASSES = jd.OneHotCategorical(jnp.array([0.0, 1.0, -jnp.inf]))
SUBSET = jd.Subset(jnp.array([0.0, 1.0, 0.5]), 2)


def run(q, z):
    estimate = jd.given(jd.reinforce(lambda z: jnp.sum(z * 2.0)), z)
    return jax.value_and_grad(estimate, argnums=1)(jax.random.key(0), q)


@pytest.mark.parametrize(
    ("q", "z", "match"),
    [
        (BITS, jnp.zeros(3), "of the shapes of a sample of q"),
        (BITS, {"a": jnp.zeros(2)}, "of the shapes of a sample of q"),
        (BITS, jnp.array(1.0), "Nothing is broadcast"),
        (BITS, jnp.array([0.5, 0.0]), "a hard sample of q, got values that are none"),
        (BITS, jnp.array([2.0, 0.0]), "none of Bernoulli"),
        (CLASSES, jnp.array([0.3, 0.7, 0.0]), "none of OneHotCategorical"),
        (CLASSES, jnp.zeros(3), "pass the decision that was taken"),
        (CLASSES, jnp.array([0.0, 0.0, 1.0]), "possible under q, got one of probab"),
        (SUBSET, jnp.array([1.0, 0.0, 0.0]), "possible under q"),
    ],
)
def test_what_is_no_sample_is_refused(q, z, match, no_compute):
    with pytest.raises(ValueError, match=match):
        run(q, z)


@pytest.mark.parametrize("dtype", [int, bool, np.uint8, jnp.bfloat16])
def test_recorded_bits_of_any_dtype(dtype):
    expected = run(BITS, jnp.array([1.0, 0.0]))
    value, gradient = run(BITS, jnp.array([1, 0]).astype(dtype))
    assert value == expected[0]
    np.testing.assert_array_equal(gradient.logits, expected[1].logits)


class Counts:
    """Of integer samples."""

    def sample(self, key):
        return jax.random.poisson(key, 2.0)

    def log_prob(self, z):
        return jax.scipy.stats.poisson.logpmf(z, 2.0)


def test_integers_are_not_made_of_floats(no_compute):
    estimate = jd.given(jd.reinforce(lambda z: 2.0), jnp.array(1.5))
    with pytest.raises(TypeError, match="of the dtype of a sample of q, int32, got"):
        jax.eval_shape(lambda k: estimate(k, Counts()), jax.random.key(0))


def test_relaxed_decisions_of_a_sequence_are_refused(no_compute):
    actions = jd.Action(jnp.array([1.0, 0.0, 0.3, 1.0]), jnp.zeros(4))
    estimate = jd.sequential(jd.reinforce, *chain(PARAMS))
    with pytest.raises(ValueError, match="a hard sample of q"):
        estimate(jax.random.key(0), START, PARAMS["theta"], actions)


@pytest.mark.thorough
def test_past_the_end_of_a_sequence_decisions_may_be_anything():
    def policy(t, x):
        return jd.OneHotCategorical(x), ()

    def step(t, z, x):
        return t + 1.0, jnp.dot(z, jnp.array([1.0, 2.0, 4.0]))

    z = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [jnp.nan, 0.3, 0.0]])
    actions = jd.Action(z, jnp.array([-1.0, -1.0, jnp.nan]))
    estimate = jd.sequential(jd.reinforce, policy, step, active=lambda t, x: t < 2.0)
    run = jax.value_and_grad(estimate, argnums=2)
    value, gradient = run(jax.random.key(0), 0.0, jnp.zeros((3, 3)), actions)
    ratio = np.exp(1.0) / 3.0
    np.testing.assert_allclose(value, ratio + 4.0 * ratio**2, rtol=1e-5)
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[2], 0.0)
