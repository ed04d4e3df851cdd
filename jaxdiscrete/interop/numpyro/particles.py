"""Particles: runs of one guide side by side, which know of one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from jaxdiscrete.multi_sample.others import less_mean_of_others

_AXIS = "jaxdiscrete_particles"


def over_particles(
    one: Callable[[jax.Array], tuple[Any, dict[str, Any]]], key: jax.Array, num: int
) -> tuple[Any, dict[str, Any] | None]:
    """The results of several particles along a leading axis, and mutable state."""
    if num == 1:
        out, mutable = one(key)
        return jax.tree.map(lambda x: x[None], out), mutable or None
    out, mutable = jax.vmap(one, axis_name=_AXIS)(jax.random.split(key, num))
    if mutable:
        raise ValueError(
            f"Expected no mutable state with num_particles={num}, got the site "
            f"{next(iter(mutable))!r}. Every particle would have a state of its own: "
            "use one particle."
        )
    return out, None


def others_here(fn: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """A function of what all particles have, at the place of this one."""
    together = jax.lax.all_gather(x, _AXIS)
    return fn(together)[jax.lax.axis_index(_AXIS)]


def less_mean_of_others_here(x: jax.Array) -> jax.Array:
    """The value of this particle, less the mean of the others."""
    return others_here(less_mean_of_others, x)
