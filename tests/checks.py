"""k-sigma comparisons with a power gate, and what the tests share."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.diagnostics.moments import NO_MOMENTS, merge
from jaxdiscrete.testing import assert_mean

K_SIGMA = 4.5
VISIBLE = 0.05


def assert_unbiased(samples, expected):
    """The mean of samples is expected in every coordinate, and 5 % off would show.

    The power gate asks that K_SIGMA standard errors of each coordinate be less than
    5 % of it; a coordinate whose expectation is zero must be zero in every sample.

    Args:
      samples: ``[n, coordinates]``.
      expected: ``[coordinates]``, exact.
    """
    samples = np.asarray(samples, np.float64)
    expected = np.asarray(expected, np.float64)
    assert samples.shape[1:] == expected.shape
    assert np.all(np.isfinite(samples)), "not finite"
    is_zero = expected == 0
    assert np.all(samples[:, is_zero] == 0), "not exactly zero"
    names = [f"coordinate {i}" for i in np.flatnonzero(~is_zero)]
    samples, expected = samples[:, ~is_zero], expected[~is_zero]
    size = np.abs(expected)
    assert np.all(size > 1e-6 * size.max(initial=0.0)), "too small to be seen"
    assert_mean(
        merge(NO_MOMENTS, samples),
        expected,
        np.zeros_like(expected),
        names,
        k_sigma=K_SIGMA,
        visible=VISIBLE,
    )


def gradient_samples(estimate, q, *args, num=200_000, seed=0):
    """Gradients with respect to q for many keys, ``[num, coordinates]``."""
    keys = jax.random.split(jax.random.key(seed), num)
    gradient = jax.grad(estimate, argnums=1)
    return flat_rows(jax.jit(jax.vmap(lambda k: gradient(k, q, *args)))(keys))


def exact_gradient(f, q, *args, oracle=jd.exact):
    """The gradient of the enumerated expectation with respect to q, flat."""
    gradient = jax.grad(oracle(f), argnums=1)(jax.random.key(0), q, *args)
    return flat(gradient)


def flat_rows(tree):
    """The leaves of a batched pytree as one ``[n, coordinates]`` array."""
    leaves = jax.tree.leaves(tree)
    return np.concatenate(
        [np.asarray(x, np.float64).reshape(len(x), -1) for x in leaves], axis=1
    )


def flat(tree):
    """The leaves of a pytree as one vector."""
    return np.concatenate(
        [np.asarray(x, np.float64).reshape(-1) for x in jax.tree.leaves(tree)]
    )


def assert_close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(
            np.asarray(x, np.float64), np.asarray(y, np.float64), rtol=rtol, atol=atol
        ),
        a,
        b,
    )


def all_finite(tree):
    return all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(tree))


class BareSampler:
    """Two Bernoullis that offer sample and log_prob and nothing else."""

    def __init__(self, logits):
        self.logits = logits

    def sample(self, key):
        return jd.Bernoulli(self.logits).sample(key)

    def log_prob(self, z):
        return jd.Bernoulli(self.logits).log_prob(z)
