"""Scores, the gradients of log-probabilities, of samples that have one."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import freeze, latents, log_prob, parameters_in_float32
from jaxdiscrete.core.typing import PyTree


def score(q: PyTree, z: PyTree) -> PyTree:
    """The gradient of the joint log-probability with respect to every leaf of q.

    Args:
      q: pytree of distributions.
      z: one sample of each.

    Returns:
      A pytree of q's structure, with parameters in at least float32; NaN where
      :func:`rules_out`.
    """

    def log_q(wide_q: PyTree) -> jax.Array:
        value = log_prob(wide_q, z)
        is_wrong = rules_out(q, value)
        return value if is_wrong is None else value * jnp.where(is_wrong, jnp.nan, 1.0)

    return jax.grad(log_q)(parameters_in_float32(q))


def rules_out(q: PyTree, log_q: jax.Array) -> jax.Array | None:
    """Tells whether the log-probability of a sample says that it cannot be one.

    It has no score then, and JAX would make one of whatever was added to minus
    infinity. Distributions with a ``validate`` of their own do not rule out what they
    draw, and for their gradient alone the log-probabilities need not be computed.

    Args:
      q: pytree of distributions.
      log_q: joint log-probabilities of samples of theirs.

    Returns:
      An array of the same shape, or None where every distribution validates.
    """
    if all(hasattr(d, "validate") for d in latents(q)):
        return None
    return jnp.isneginf(freeze(log_q))


def scored(q: PyTree, log_q: jax.Array, signal: jax.Array) -> jax.Array:
    """Log-probabilities that are about to meet their signals.

    Args:
      q: pytree of distributions.
      log_q: the joint log-probabilities of its samples.
      signal: the weights of their scores.

    Returns:
      ``log_q``, with a derivative of NaN where :func:`rules_out` and the signal is not
      zero.
    """
    is_wrong = rules_out(q, log_q)
    if is_wrong is None:
        return log_q
    factor = jnp.where(is_wrong & (signal != 0), jnp.nan, 1.0)
    return log_q * freeze(factor.astype(log_q.dtype))
