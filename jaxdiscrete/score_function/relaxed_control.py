r"""Relaxations of a hard sample, and what REBAR and RELAX make of one.

For a function c of the relaxed sample the control is
:math:`c(\tilde\zeta)\nabla\log q(z) - (\nabla c(\zeta) - \nabla c(\tilde\zeta))`, whose
expectation is zero, with :math:`\tilde\zeta` conditioned on the hard sample z.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.latents import (
    draw_relaxed,
    map_latents,
    score,
    split_for,
    threshold,
    widen,
)
from jaxdiscrete.core.typing import PyTree, Relaxable, Relaxation
from jaxdiscrete.score_function.mechanism import Draw


def concrete(d: Relaxable, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
    """The plain Concrete relaxation, ``sigmoid`` or ``softmax`` of zeta / temperature.

    Args:
      d: a relaxable distribution.
      zeta: its pre-squashed relaxed sample.
      temperature: positive, a number or an array that broadcasts against zeta.

    Returns:
      The relaxed sample, in the shape and dtype of a hard one.

    Example:
      >>> q = jd.Bernoulli(jnp.array(0.0))
      >>> print(np.asarray(jd.concrete(q, jnp.array(1.0), 0.5)).round(3))
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


def relaxed_draw(key: jax.Array, q: PyTree) -> Draw:
    """A relaxed sample and its hard threshold, from one noise."""
    zeta = draw_relaxed(key, q)
    return Draw(threshold(q, zeta), zeta)


def relaxed_draw_with_key(key: jax.Array, q: PyTree) -> Draw:
    """As :func:`relaxed_draw`, with a key for the conditional noise."""
    key_sample, key_conditional = jax.random.split(key)
    drawn = relaxed_draw(key_sample, q)
    return Draw(drawn.z, (drawn.noise, key_conditional))


def tied_control(
    c: Callable[..., Any], relaxation: Relaxation
) -> Callable[[PyTree, Draw, tuple[Any, ...], PyTree], PyTree]:
    """The control of c at a relaxed sample whose conditional noise is tied to it.

    The conditional sample then equals the sample, so c is evaluated once and only
    the two derivatives differ.
    """

    def control(
        q: PyTree, drawn: Draw, args: tuple[Any, ...], temperature: PyTree
    ) -> PyTree:
        def at(zeta: PyTree) -> jax.Array:
            return jnp.asarray(c(map_latents(relaxation, q, zeta, temperature), *args))

        def location(wide_q: PyTree) -> PyTree:
            return map_latents(lambda d: d.location(), wide_q)

        def conditional(wide_q: PyTree) -> PyTree:
            return map_latents(
                lambda d, x, z: d.coupled_conditional(x, z),
                wide_q,
                drawn.noise,
                drawn.z,
            )

        value, slope = jax.value_and_grad(at)(drawn.noise)
        wide_q = widen(q)
        (free,) = jax.vjp(location, wide_q)[1](slope)
        (given,) = jax.vjp(conditional, wide_q)[1](slope)
        return jax.tree.map(
            lambda s, a, b: value.astype(s.dtype) * s - (a - b),
            score(q, drawn.z),
            free,
            given,
        )

    return control


def independent_control(
    c: Callable[..., Any], relaxation: Relaxation
) -> Callable[[PyTree, Draw, tuple[Any, ...], PyTree], PyTree]:
    """The control of c with conditional noise of its own; c is evaluated twice."""

    def control(
        q: PyTree, drawn: Draw, args: tuple[Any, ...], temperature: PyTree
    ) -> PyTree:
        noise, key = drawn.noise

        def at(wide_q: PyTree, zeta: PyTree) -> jax.Array:
            s = map_latents(relaxation, wide_q, zeta, temperature)
            s = jax.tree.map(lambda x, z: x.astype(z.dtype), s, drawn.z)
            return jnp.asarray(c(s, *args))

        def free(wide_q: PyTree) -> jax.Array:
            def move(d: Any, x: jax.Array) -> jax.Array:
                location = d.location()
                still = jnp.isneginf(location)
                location = jnp.where(still, 0.0, location)
                return x + (location - jax.lax.stop_gradient(location))

            return at(wide_q, map_latents(move, wide_q, noise))

        def given(wide_q: PyTree) -> jax.Array:
            keys = split_for(key, wide_q)
            zeta = map_latents(
                lambda d, k, z: d.conditional_relaxed_sample(k, z),
                wide_q,
                keys,
                drawn.z,
            )
            return at(wide_q, zeta)

        wide_q = widen(q)
        value, given_slope = jax.value_and_grad(given)(wide_q)
        free_slope = jax.grad(free)(wide_q)
        return jax.tree.map(
            lambda s, a, b: value.astype(s.dtype) * s - (a - b),
            score(q, drawn.z),
            free_slope,
            given_slope,
        )

    return control
