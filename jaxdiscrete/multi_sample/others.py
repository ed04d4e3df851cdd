"""Sums and means over the other samples, exactly independent of the one left out."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def sum_of_others(x: jax.Array) -> jax.Array:
    """The sum over the other samples, for every sample.

    From sums before and after it rather than by subtraction from the total, so that
    what remains is exactly independent of it, however large it is.

    Args:
      x: array whose leading axis is that of the samples.

    Returns:
      Array of the shape of ``x``.
    """
    return _sum_before(x) + _sum_before(x[::-1])[::-1]


def mean_of_others(x: jax.Array) -> jax.Array:
    """The mean over the other samples, for every sample; as :func:`sum_of_others`."""
    return sum_of_others(x) / (x.shape[0] - 1)


def less_mean_of_others(x: jax.Array) -> jax.Array:
    """Every sample less the mean of the others; exactly zero where all are equal."""
    # The result does not depend on a shift, and without the large part that all have in
    # common the sums do not round it away.
    shifted = x - x[:1]
    return shifted - mean_of_others(shifted)


def log_sum_of_others(log_weights: jax.Array) -> jax.Array:
    """The logarithm of the sum of the other weights, for every one of two or more."""
    # From before and after, not the total minus one, which cancels where one dominates.
    # The first and the last have no logarithm of nothing to add: jax_debug_infs would
    # stop there.
    upto = jax.lax.cumlogsumexp(log_weights)
    since = jax.lax.cumlogsumexp(log_weights, reverse=True)
    between = jnp.logaddexp(upto[:-2], since[2:])
    return jnp.concatenate([since[1:2], between, upto[-2:-1]])


def log_mean_exp(log_weights: jax.Array) -> jax.Array:
    """The logarithm of the mean weight, a scalar."""
    shift = jnp.log(jnp.asarray(log_weights.size, log_weights.dtype))
    return jax.nn.logsumexp(log_weights) - shift


def signals_by_others(log_weights: jax.Array) -> jax.Array:
    """How much each of two or more weights adds to the bound, as VIMCO measures it.

    The logarithm of the mean weight, less the same with this weight replaced by the
    geometric mean of the others.

    Args:
      log_weights: ``[samples]``.

    Returns:
      ``[samples]``.
    """
    geometric = mean_of_others(log_weights)
    others = log_sum_of_others(log_weights)
    return jax.nn.logsumexp(log_weights) - jnp.logaddexp(others, geometric)


def _sum_before(x: jax.Array) -> jax.Array:
    shifted = jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])
    return jnp.cumsum(shifted, axis=0)
