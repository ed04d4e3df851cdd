"""Dependences in the program of a function, found without computing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.programs import outputs_reached_from
from jaxdiscrete.core.rules import second_order_allowed
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.core.varying import match_varying


class Dependence(NamedTuple):
    """The dependence of a value on one input.

    Attributes:
      is_used: whether it depends on it at all.
      has_path: whether a derivative can reach it.
    """

    is_used: bool
    has_path: bool


def derivative_paths(
    f: Callable[..., Any], z: PyTree, args: Sequence[Any]
) -> list[Dependence]:
    """The dependence of f on every leaf of its first argument.

    f is traced once, for its value and its derivative together.

    Args:
      f: ``f(z, *args) -> scalar``.
      z: shapes and dtypes of its first argument.
      args: the other arguments of ``f``.

    Returns:
      One entry per leaf of z. Whether a derivative has a path is read off the program
      of the derivative.
    """
    leaves, treedef = jax.tree.flatten(z)
    args = freeze(args)

    def scalar(*leaves: jax.Array) -> jax.Array:
        return jnp.asarray(f(jax.tree.unflatten(treedef, leaves), *args))

    def both(seed: jax.Array, *leaves: jax.Array) -> Any:
        value, pullback = jax.vjp(scalar, *leaves)
        return value, pullback(match_varying(seed.astype(value.dtype), value))

    # JAX caches the derivative of a jitted f, and the control variate will
    # differentiate the same one again.
    with second_order_allowed():
        program = jax.make_jaxpr(both)(jnp.float32(1.0), *leaves).jaxpr
    seed, *inputs = program.invars
    has_path = outputs_reached_from(program, seed)[1:]
    is_used = [outputs_reached_from(program, v)[0] for v in inputs]
    return [Dependence(*pair) for pair in zip(is_used, has_path, strict=True)]
