r"""The derivative of f must be that of f, and add up to its differences.

.. math:: f(b) - f(a) = \int_0^1 \nabla f(a + t (b - a)) \cdot (b - a)\, dt

A jump, a stopped part and a rule of another function's all break it, and none of them
can be read off the program for certain.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import draw_relaxed, flatten
from jaxdiscrete.core.rules import linear_form
from jaxdiscrete.core.typing import Objective, PyTree

#: The relaxed samples lie between hard ones, and not only beside them.
TEMPERATURE = 1.0
NUM_SEGMENTS = 8
NUM_POINTS = 128
#: The gap that a kink or a steep f leaves to the rule of midpoints is below it.
TOLERANCE = 0.05
#: What f is rounded to, relative to its largest value.
_ROUNDING = 1e-5


def derivative_gap(f: Objective, key: jax.Array, q: PyTree, args: Any) -> float:
    """The largest share of a difference of f that its derivative does not explain.

    Calls of f: 130 on each of 8 segments between two relaxed samples.

    Args:
      f: ``f(z, *args) -> scalar``, differentiable, without an estimate inside.
      key: PRNG key.
      q: pytree of distributions with a relaxation.
      args: further arguments of ``f``.

    Returns:
      The gap relative to the integral of the size of the derivative; about 0 for a
      smooth f, and infinite where f is not finite.
    """
    leaves, treedef = flatten(q)

    def relaxed(key: jax.Array) -> PyTree:
        zeta = treedef.flatten_up_to(draw_relaxed(key, q))
        pairs = zip(leaves, zeta, strict=True)
        return treedef.unflatten([d.relax(x, TEMPERATURE) for d, x in pairs])

    def of_segment(key: jax.Array) -> jax.Array:
        a, b = (relaxed(k) for k in jax.random.split(key))
        step = jax.tree.map(lambda x, y: y - x, a, b)

        def slope(t: jax.Array) -> jax.Array:
            z = jax.tree.map(lambda x, s: x + t.astype(x.dtype) * s, a, step)
            gradient = jax.grad(f)(z, *args)
            return linear_form(jax.tree.leaves(gradient), jax.tree.leaves(step))

        points = (jnp.arange(NUM_POINTS, dtype=jnp.float32) + 0.5) / NUM_POINTS
        slopes = jax.lax.map(slope, points)
        ends = jnp.stack([f(a, *args), f(b, *args)]).astype(slopes.dtype)
        gap = jnp.abs(ends[1] - ends[0] - slopes.mean())
        rounding = _ROUNDING * jnp.abs(ends).max()
        size = jnp.abs(slopes).mean()
        share = jnp.where(gap <= rounding, 0.0, gap / jnp.maximum(size, rounding))
        return jnp.where(jnp.isfinite(share), share, jnp.inf)

    keys = jax.random.split(key, NUM_SEGMENTS)
    return float(jax.jit(lambda keys: jax.lax.map(of_segment, keys).max())(keys))
