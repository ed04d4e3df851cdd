"""The optimal baseline as a running average."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from tests.helpers.trees import assert_close

KEYS = jax.random.split(jax.random.key(5), 64)
Q = jd.Bernoulli(jnp.array([0.3, -0.8]))


def f(z):
    weights = jnp.arange(1.0, z.size + 1.0, dtype=z.dtype)
    return jnp.sum(jnp.sin(2.0 * z) * weights) + z[0] ** 2 * z[1] - 0.5


def test_running_optimal_baseline_is_fitted_by_squared_error():
    def loss(u, w, key):
        return jd.reinforce_running_optimal_baseline(f, weighted_value=u, weight=w)(
            key, Q
        )

    key = KEYS[2]
    value = float(loss(jnp.array(0.5), jnp.array(2.0), key))
    score = jax.jit(jax.grad(lambda q: q.log_prob(Q.sample(key)).sum()))(Q).logits
    squared = float(jnp.sum(score**2))
    to_u, to_w = jax.jit(jax.grad(loss, (0, 1)))(jnp.array(0.5), jnp.array(2.0), key)
    np.testing.assert_allclose(to_u, 0.5 - value * squared, rtol=1e-5)
    np.testing.assert_allclose(to_w, 2.0 - squared, rtol=1e-5)
    empty = jd.reinforce_running_optimal_baseline(f, weighted_value=0.0, weight=0.0)
    assert_close(
        jax.jit(jax.grad(empty, 1))(key, Q),
        jax.jit(jax.grad(jd.reinforce(f), 1))(key, Q),
    )
