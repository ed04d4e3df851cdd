"""The perturbed optimizer: exact laws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import assert_unbiased, exact_gradient, map_in_chunks
from tests.helpers.trees import assert_close
from tests.solvers.problems import KEY, THETA, curved, linear, perturbed


@pytest.mark.thorough
@pytest.mark.parametrize("noise_scale", [1.0, jnp.array(0.7)])
def test_perturbed_optimizer_is_unbiased_for_linear_objectives(noise_scale):
    """Argmax with Gumbel noise is a sample of the categorical."""
    estimate = perturbed(linear, num_noise=16, noise_scale=noise_scale)
    gradient = jax.grad(lambda key, d: estimate(key, d.logits), argnums=1)
    keys = jax.random.split(KEY, 100_000)
    q = jd.OneHotCategorical(THETA)
    samples = map_in_chunks(lambda key: gradient(key, q).logits, keys)
    exact = (
        exact_gradient(linear, jd.OneHotCategorical(THETA / noise_scale)) / noise_scale
    )
    assert_unbiased(samples, exact)


def test_perturbed_optimizer_takes_normal_noise():
    """The difference of two normals has variance 2."""
    noise = optax.perturbations.Normal()
    estimate = perturbed(linear, noise_scale=0.5, noise=noise, num_noise=8)
    theta = jnp.array([0.3, -0.1, -jnp.inf, -jnp.inf])
    keys = jax.random.split(KEY, 50_000)
    gradient = jax.grad(estimate, 1)
    samples = map_in_chunks(lambda key: gradient(key, theta), keys)
    width = 0.5 * np.sqrt(2.0)
    density = np.exp(-0.5 * (0.4 / width) ** 2) / (width * np.sqrt(2 * np.pi))
    assert_unbiased(samples, 5.0 * density * np.array([1.0, -1.0, 0.0, 0.0]))


@pytest.mark.thorough
def test_the_objective_sees_the_mean_of_the_decisions():
    value, z = perturbed(lambda z: (curved(z), z), has_aux=True)(KEY, THETA)
    assert value == curved(z)
    assert_close(z.sum(), 1.0)
    assert_close(4.0 * z, jnp.round(4.0 * z))
    assert bool(jnp.any((z > 0) & (z < 1)))
