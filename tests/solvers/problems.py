"""Scores, solvers and objectives for perturbed solvers."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd

KEY = jax.random.key(0)
THETA = jnp.array([0.4, -0.6, 0.9, -jnp.inf])
COST = jnp.array([3.0, -2.0, 1.0, 5.0])


def best(theta):
    return jax.nn.one_hot(jnp.argmax(theta, axis=-1), theta.shape[-1])


def two_best(theta):
    """Booleans: what a solver returns need not be floating."""
    _, index = jax.lax.top_k(theta, 2)
    return jnp.zeros(theta.shape, bool).at[index].set(True)


def best_of_each(theta):
    return jax.tree.map(best, theta)


def linear(z):
    return jnp.dot(z, COST)


def curved(z, t=1.0):
    z = z.astype(jnp.float32)
    return jnp.sum(jnp.sin(t * COST * z)) * t


def perturbed(f, solver=best, **options):
    return jd.perturbed_optimizer(f, solver, **({"num_noise": 4} | options))


def imle(f, solver=best, **options):
    return jd.imle(f, solver, **({"num_samples": 3, "step_size": 0.7} | options))


both = pytest.mark.parametrize("transform", [perturbed, imle])
