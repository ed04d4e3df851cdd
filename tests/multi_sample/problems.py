"""One problem for estimators of several samples."""

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from tests.helpers.statistics import gradient_samples

Q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))
KEY = jax.random.key(0)


def f(z):
    return jnp.dot(z, jnp.array([3.0, -2.0, 4.0])) + z[0] * z[1] + 5.0


def variance(estimate, q=Q, num=200_000):
    return gradient_samples(estimate, q, num=num).var(axis=0).sum()
