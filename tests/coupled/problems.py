"""Two problems for coupled samples, and joint laws by enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import gradient_samples

KEY = jax.random.key(0)
COPULAS = [jd.dirichlet_copula, jd.gaussian_copula]
both_copulas = pytest.mark.parametrize("copula", COPULAS)
BITS = jd.Bernoulli(jnp.array([0.3, -0.8, 2.0]))
CLASSES = jd.OneHotCategorical(
    jnp.array([[0.7, -0.5, 0.1, -jnp.inf], [0.0, 0.6, -0.5, 0.4]])
)


def of_bits(z):
    return jnp.dot(z, jnp.array([3.0, -3.0, 4.0])) + 1.5 * z[0] * z[1] - z[1] * z[2]


def of_classes(z):
    weights = jnp.array([[0.0, 4.0, 4.0, 4.0], [1.0, -4.0, 0.0, -4.0]])
    return jnp.sum(weights * z) + 1.5 * z[0, 1] * z[1, 2]


def joint_of_sticks(p, rho):
    """The joint probability of two classes, by enumeration of the bits of two samples.

    Args:
      p: ``[K - 1]``, probabilities of the sticks.
      rho: ``[K - 1]``, correlations of their bits.

    Returns:
      ``[K, K]``.
    """
    together = np.maximum(rho * p * (1.0 - p) + p**2, 0.0)
    table = np.zeros((len(p) + 1,) * 2)
    for bits in itertools.product(range(4), repeat=len(p)):
        one, other = np.array(bits) // 2, np.array(bits) % 2
        cells = np.stack(
            [1.0 - 2.0 * p + together, p - together, p - together, together]
        )
        weight = np.prod(cells[np.array(bits), np.arange(len(p))])
        a, b = (int(np.argmax(np.append(x, 1))) for x in (one, other))
        table[a, b] += weight
    return table


def compare_with_leave_one_out(transform, f, q, num_samples, **options):
    """Gradients at equal calls of f: coupled samples, and independent ones."""
    return tuple(
        gradient_samples(estimate, q, num=100_000)
        for estimate in (
            transform(f, num_samples=num_samples, **options),
            jd.reinforce_loo(f, num_samples=num_samples),
        )
    )
