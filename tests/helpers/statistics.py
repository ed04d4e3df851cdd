"""k-sigma comparisons with a power gate, and the gradients that they compare."""

import jax
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.diagnostics.moments import NO_MOMENTS, merge
from jaxdiscrete.testing import assert_mean
from tests.helpers.trees import flat, flat_rows

K_SIGMA = 4.5
VISIBLE = 0.05
# Numbers of samples are multiples of it: what is left over is a second program.
CHUNK = 10_000


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
        detectable_bias=VISIBLE,
    )


def would_show(samples, expected):
    """Whether a bias of 5 % would show: the power gate of :func:`assert_unbiased`."""
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    is_zero = expected == 0
    return bool(np.all((K_SIGMA * error < VISIBLE * np.abs(expected)) | is_zero))


def assert_gradient_unbiased(estimate, q, *args, expected, num=400_000, seed=0):
    """Of as many gradients with respect to q as it takes to see 5 %, at most ``num``.

    When to stop depends on their variance, and not on where their mean is.

    Args:
      estimate: ``(key, q, *args) -> scalar``.
      q: pytree of distributions.
      args: further arguments.
      expected: ``[coordinates]``, exact.
      num: the most gradients, a multiple of CHUNK.
      seed: of the keys.
    """
    gradient = jax.grad(estimate, argnums=1)
    program = mapped(lambda key: gradient(key, q, *args))
    samples = np.empty((0, len(expected)))
    for keys in jax.random.split(jax.random.key(seed), (num // CHUNK, CHUNK)):
        samples = np.concatenate([samples, flat_rows(program(keys))])
        if would_show(samples, expected):
            break
    assert_unbiased(samples, expected)


def mapped(fn, chunk_size=CHUNK):
    """fn of every key, in a program optimised to run, and in the memory of a chunk."""
    return jax.jit(
        lambda keys: jax.lax.map(fn, keys, batch_size=chunk_size),
        compiler_options={"xla_backend_optimization_level": 1},
    )


def map_in_chunks(fn, keys, chunk_size=CHUNK):
    """The results of :func:`mapped` for some keys."""
    return mapped(fn, chunk_size)(keys)


def gradient_samples(estimate, q, *args, num=200_000, seed=0):
    """Gradients with respect to q for many keys, ``[num, coordinates]``."""
    keys = jax.random.split(jax.random.key(seed), num)
    gradient = jax.grad(estimate, argnums=1)
    return flat_rows(map_in_chunks(lambda k: gradient(k, q, *args), keys))


def exact_gradient(f, q, *args, oracle=jd.exact):
    """The gradient of the enumerated expectation with respect to q, flat."""
    gradient = jax.jit(jax.grad(oracle(f), argnums=1))
    return flat(gradient(jax.random.key(0), q, *args))


def total_variance(samples):
    """The trace of the covariance, and its standard error."""
    squares = np.square(samples - samples.mean(axis=0)).sum(axis=1)
    return squares.mean(), squares.std() / np.sqrt(len(squares))


def assert_less_variance(one, other):
    """Total variances differ in this direction by K_SIGMA standard errors."""
    (smaller, se), (larger, other_se) = total_variance(one), total_variance(other)
    assert smaller + K_SIGMA * np.hypot(se, other_se) < larger
