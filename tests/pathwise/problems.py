"""Distributions and objectives for straight-through estimators."""

import jax
import jax.numpy as jnp

import jaxdiscrete as jd

KEY = jax.random.key(0)
Q = jd.OneHotCategorical(jnp.array([[0.3, -0.8, 0.5], [0.0, 1.0, -jnp.inf]]))
B = jd.Bernoulli(jnp.array([0.3, -0.8]))
EXTREME = jd.Bernoulli(jnp.array([jnp.inf, -jnp.inf, 0.4]))


def slopes(z):
    """A derivative that differs between states, and is no difference of values."""
    weights = jnp.arange(1.0, z.size + 1).reshape(z.shape)
    return jnp.sum(jnp.sin(weights * z)) * (1.0 + jnp.sum(z**3))


def covariance(p):
    return jnp.diag(p) - jnp.outer(p, p)
