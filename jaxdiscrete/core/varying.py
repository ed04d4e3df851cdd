"""Types of arrays inside ``shard_map``: over which devices they vary."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.typing import PyTree


def is_inside_shard_map() -> bool:
    """Tells whether types of arrays say over which devices they vary."""
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def match_varying(x: jax.Array, like: jax.Array) -> jax.Array:
    """``x``, which under shard_map varies over the devices that ``like`` does.

    Args:
      x: floating array.
      like: floating array of the shape of ``x``, or a scalar.

    Returns:
      ``x``, under shard_map plus a zero that depends on ``like`` in type only.
    """
    if not is_inside_shard_map():
        return x
    return x + jnp.where(jnp.isnan(like), 0.0, 0.0).astype(x.dtype)


def match_varying_tree(x: jax.Array, tree: PyTree) -> jax.Array:
    """``x``, which under shard_map varies over the devices that any leaf does.

    Args:
      x: floating array.
      tree: pytree of floating arrays of any shape.

    Returns:
      ``x`` plus zeros that depend on ``tree`` in type only.
    """
    if not is_inside_shard_map():
        return x
    for leaf in jax.tree.leaves(tree):
        x = match_varying(x, jnp.sum(leaf).astype(x.dtype))
    return x


def freeze_varying(q: PyTree, like: jax.Array) -> PyTree:
    """``q`` without gradients, which under shard_map varies like its samples.

    A score with respect to replicated parameters would be summed over the devices
    before it meets the signal of its own sample.

    Args:
      q: pytree of distributions with floating leaves.
      like: a scalar that varies over devices like the sample.

    Returns:
      A pytree of q's structure.
    """
    return jax.tree.map(lambda x: match_varying(jnp.asarray(x), like), freeze(q))
