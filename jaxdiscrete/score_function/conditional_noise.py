r"""The conditional noise of REBAR and RELAX: tied, or independent.

For a function c of the relaxed sample the control is
:math:`c(\tilde\zeta)\nabla\log q(z) - (\nabla c(\zeta) - \nabla c(\tilde\zeta))`, whose
expectation is zero, with :math:`\tilde\zeta` conditioned on the hard sample z.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import (
    draw_relaxed,
    map_latents,
    parameters_in_float32,
    split_for,
    threshold,
)
from jaxdiscrete.core.sample import GivenSample, key_of
from jaxdiscrete.core.typing import Objective, PyTree, Relaxation
from jaxdiscrete.score_function.mechanism import Control, Draw, control_of

#: ``conditional_noise(relaxation) -> (draw, control)``: how sample and noise are drawn,
#: and the control of a function of the relaxed sample at a temperature.
ConditionalNoise = Callable[
    [Relaxation], tuple[Callable[[jax.Array, PyTree], Draw], Control]
]


def tied_noise(
    relaxation: Relaxation,
) -> tuple[Callable[[jax.Array, PyTree], Draw], Control]:
    """Conditional noise that is tied to the sample's, for ``conditional_noise=``.

    The conditional sample then equals the sample in value, so that the function under
    it is evaluated once and only the two derivatives differ. One uniform per
    Bernoulli, one Gumbel per class.

    Args:
      relaxation: from the pre-squashed sample to the relaxed one.

    Returns:
      ``(draw, control)``, for :func:`rebar`, :func:`relax` and :func:`relax_rebar`.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(2))
      >>> estimate = jd.rebar(
      ...     lambda z: z.sum(), temperature=0.5, conditional_noise=jd.tied_noise)
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits.shape)
      (2,)
    """

    def control(
        c: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], temperature: Any
    ) -> PyTree:
        def at(zeta: PyTree) -> jax.Array:
            return jnp.asarray(c(map_latents(relaxation, q, zeta, temperature), *args))

        def both(wide_q: PyTree) -> tuple[PyTree, PyTree]:
            conditional = map_latents(
                lambda d, x, z: d.coupled_conditional(x, z),
                wide_q,
                drawn.noise,
                drawn.z,
            )
            return map_latents(lambda d: d.location(), wide_q), conditional

        value, slope = jax.value_and_grad(at)(drawn.noise)
        _, pullback = jax.vjp(both, parameters_in_float32(q))
        (difference,) = pullback((slope, jax.tree.map(jnp.negative, slope)))
        return control_of(value, drawn.score, difference)

    return _draw, control


def independent_noise(
    relaxation: Relaxation,
) -> tuple[Callable[[jax.Array, PyTree], Draw], Control]:
    """Conditional noise of its own, for ``conditional_noise=``.

    The form in which the papers of REBAR and RELAX were run. The function under it is
    evaluated and differentiated twice, and the conditional sample costs noise of its
    own.

    Args:
      relaxation: from the pre-squashed sample to the relaxed one.

    Returns:
      ``(draw, control)``, for :func:`rebar`, :func:`relax` and :func:`relax_rebar`.

    Example:
      >>> q = jd.OneHotCategorical(jnp.array([0.0, 1.0, -1.0]))
      >>> f = lambda z: jnp.dot(z, jnp.arange(3.0)) ** 2
      >>> estimate = jd.rebar(
      ...     f, temperature=0.5, conditional_noise=jd.independent_noise)
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits.shape)
      (3,)
    """

    def draw(key: jax.Array, q: PyTree) -> Draw:
        key_sample, key_conditional = jax.random.split(key_of(key))
        if isinstance(key, GivenSample):
            drawn = _draw(GivenSample(key.z, key_sample), q)
        else:
            drawn = _draw(key_sample, q)
        return Draw(drawn.z, (drawn.noise, key_conditional))

    def control(
        c: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], temperature: Any
    ) -> PyTree:
        noise, key = drawn.noise

        def at(wide_q: PyTree, zeta: PyTree) -> jax.Array:
            s = map_latents(relaxation, wide_q, zeta, temperature)
            s = jax.tree.map(lambda x, z: x.astype(z.dtype), s, drawn.z)
            return jnp.asarray(c(s, *args))

        def unconditional(wide_q: PyTree) -> jax.Array:
            def move(d: Any, x: jax.Array) -> jax.Array:
                location = d.location()
                location = jnp.where(jnp.isneginf(location), 0.0, location)
                return x + (location - jax.lax.stop_gradient(location))

            return at(wide_q, map_latents(move, wide_q, noise))

        def conditional(wide_q: PyTree) -> jax.Array:
            keys = split_for(key, wide_q)
            zeta = map_latents(
                lambda d, k, z: d.conditional_relaxed_sample(k, z),
                wide_q,
                keys,
                drawn.z,
            )
            return at(wide_q, zeta)

        wide_q = parameters_in_float32(q)
        value, conditioned = jax.value_and_grad(conditional)(wide_q)
        moved = jax.grad(unconditional)(wide_q)
        difference = jax.tree.map(lambda a, b: a - b, moved, conditioned)
        return control_of(value, drawn.score, difference)

    return draw, control


def _draw(key: jax.Array | GivenSample, q: PyTree) -> Draw:
    """A relaxed sample and its hard threshold, from one noise."""
    if isinstance(key, GivenSample):
        zeta = map_latents(
            lambda d, k, z: d.conditional_relaxed_sample(k, z),
            q,
            split_for(key.key, q),
            key.z,
        )
        return Draw(key.z, zeta)
    zeta = draw_relaxed(key, q)
    return Draw(threshold(q, zeta), zeta)
