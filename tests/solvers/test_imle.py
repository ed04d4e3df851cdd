"""Implicit maximum likelihood: a finite difference of decisions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.statistics import assert_unbiased, map_in_chunks
from tests.helpers.trees import assert_close
from tests.solvers.problems import (
    COST,
    KEY,
    THETA,
    best,
    best_of_each,
    curved,
    imle,
    linear,
    two_best,
)


@pytest.mark.parametrize("step_size", [0.5, jnp.array(3.0)])
def test_imle_is_a_finite_difference_of_the_mean_for_linear_objectives(step_size):
    estimate = imle(linear, step_size=step_size)
    keys = jax.random.split(KEY, 100_000)
    gradient = jax.grad(estimate, 1)
    samples = map_in_chunks(lambda key: gradient(key, THETA), keys)
    moved = jax.nn.softmax(THETA - step_size * COST)
    assert_unbiased(samples, (jax.nn.softmax(THETA) - moved) / step_size)


def silence(key, shape):
    del key
    return jnp.zeros(shape)


@pytest.mark.parametrize("solver", [best, two_best])
def test_imle_without_noise_is_the_difference_of_two_decisions(solver):
    estimate = jax.jit(jax.value_and_grad(imle(curved, solver, noise=silence), 1))
    changed = 0
    for key in jax.random.split(KEY, 8):
        theta = jax.random.normal(key, (4,))
        z = solver(theta).astype(jnp.float32)
        value, gradient = estimate(key, theta)
        target = solver(theta - 0.7 * jax.grad(curved)(z)).astype(jnp.float32)
        assert_close(value, curved(z))
        assert_close(gradient, (z - target) / 0.7)
        changed += bool(jnp.any(z != target))
    assert changed > 0


def test_imle_draws_noise_of_its_own_for_every_sample_and_leaf():
    seen = []

    def solver(theta):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), theta["a"])
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), theta["b"])
        return best_of_each(theta)

    f = lambda z: jnp.sum(z["a"]) + jnp.sum(z["b"])  # noqa: E731
    theta = {"a": jnp.zeros(4), "b": jnp.zeros(4)}
    imle(f, solver)(KEY, theta)
    jax.effects_barrier()
    first = np.unique(np.stack(seen))
    assert len(first) >= 3 * 2 * 4


def test_second_derivatives_of_imle_are_refused():
    with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
        jax.eval_shape(jax.hessian(lambda x: imle(curved)(KEY, x)), THETA)
