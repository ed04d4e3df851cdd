"""The relaxations of control variates, and their limits."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.helpers.trees import assert_close

KEY = jax.random.key(0)
Q = jd.OneHotCategorical(jnp.array([[0.3, -0.8, 0.5], [0.0, 1.0, -jnp.inf]]))
B = jd.Bernoulli(jnp.array([0.3, -0.8]))


@pytest.mark.parametrize("q", [Q, B])
def test_temperature_to_zero_is_the_hard_sample(q):
    zeta = q.relaxed_sample(KEY)
    assert_close(q.relax(zeta, 1e-6), q.threshold(zeta))
    assert_close(jd.muprop_relaxation(q, zeta, 1e-6), q.threshold(zeta))


UNIFORM = jnp.array([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]])


@pytest.mark.parametrize(("q", "centre"), [(B, jnp.full(2, 0.5)), (Q, UNIFORM)])
def test_temperature_to_infinity_is_uniform_or_the_mean(q, centre):
    zeta = q.relaxed_sample(KEY)
    assert_close(q.relax(zeta, 1e6), centre, atol=1e-4)
    assert_close(jd.muprop_relaxation(q, zeta, 1e6), q.mean(), atol=1e-4)
