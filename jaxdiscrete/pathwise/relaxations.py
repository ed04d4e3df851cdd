"""Relaxations: continuous stand-ins for a hard sample, from its pre-squashed value."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.typing import Relaxable


def concrete_relaxation(
    d: Relaxable, zeta: jax.Array, temperature: ArrayLike
) -> jax.Array:
    """The plain Concrete relaxation, ``sigmoid`` or ``softmax`` of zeta / temperature.

    Args:
      d: a relaxable distribution.
      zeta: its pre-squashed relaxed sample.
      temperature: positive, a number or an array that broadcasts against zeta.

    Returns:
      The relaxed sample, in the shape and dtype of a hard one.

    Example:
      >>> q = jd.Bernoulli(jnp.array(0.0))
      >>> print(np.asarray(jd.concrete_relaxation(q, jnp.array(1.0), 0.5)).round(3))
      0.881
    """
    return d.relax(zeta, temperature)


def muprop_relaxation(
    d: Relaxable, zeta: jax.Array, temperature: ArrayLike
) -> jax.Array:
    r"""REBAR's modified relaxation, which tends to the mean at high temperature.

    The squashing of :math:`\zeta/\lambda + a\,\lambda/(\lambda+1)` for location a:
    the hard sample as :math:`\lambda\to0`, and as :math:`\lambda\to\infty` the mean,
    where REBAR becomes MuProp. The paper defines it for Bernoulli variables; for
    categorical ones a is the vector of log-probabilities.

    Args:
      d: a relaxable distribution.
      zeta: its pre-squashed relaxed sample.
      temperature: positive, a number or an array that broadcasts against zeta.

    Returns:
      The relaxed sample, in the shape and dtype of a hard one.

    Example:
      >>> q = jd.Bernoulli(jnp.array(1.0))
      >>> s = jd.muprop_relaxation(q, jnp.array(0.3), 1e6)
      >>> print(np.asarray(s).round(3), np.asarray(q.mean()).round(3))
      0.731 0.731

    References:
      G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, REBAR, 2017.
    """
    t = jnp.asarray(temperature).astype(zeta.dtype)
    location = d.location()
    is_masked = jnp.isneginf(location)
    shift = jnp.where(is_masked, 0.0, location) * (t * t / (t + 1.0))
    return d.relax(zeta + shift, temperature)
