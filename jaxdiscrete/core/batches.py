"""Many evaluations side by side: placed on devices, or run in chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType

from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.typing import PyTree


def check_chunk_size(name: str, chunk_size: int | None) -> None:
    """Raises unless ``chunk_size`` is None or a positive integer.

    Args:
      name: the estimator, for the message.
      chunk_size: as the user gave it.

    Raises:
      TypeError: if it is something else than an integer.
      ValueError: if it is below one.
    """
    if chunk_size is not None:
        check_count(name, "chunk_size", chunk_size, 1, "Ask for one or more.")


def place(xs: PyTree, sharding: jax.sharding.Sharding | None) -> PyTree:
    """``xs``; what is computed from them lies where ``sharding`` says.

    Args:
      xs: pytree of arrays, each with one leading axis that the sharding splits.
      sharding: of that axis; None leaves it to the compiler.

    Returns:
      The same values.
    """
    if sharding is None:
        return xs
    # On an explicit mesh a type is changed, on an automatic one the compiler is told.
    mesh = getattr(sharding, "mesh", None)
    is_typed = mesh is not None and AxisType.Explicit in mesh.axis_types
    split = jax.sharding.reshard if is_typed else jax.lax.with_sharding_constraint
    return jax.tree.map(lambda x: split(x, sharding), xs)


def sample_keys(
    key: jax.Array, num_samples: int, sharding: jax.sharding.Sharding | None
) -> jax.Array:
    """One key per sample, placed.

    Args:
      key: PRNG key.
      num_samples: how many. Static.
      sharding: of the samples, as in :func:`place`.

    Returns:
      Keys along a leading axis.
    """
    return place(jax.random.split(key, num_samples), sharding)


def over_batch(one: Callable[[Any], Any], xs: PyTree, chunk_size: int | None) -> Any:
    """``one(x)`` for every x, all at once or recomputed in chunks.

    Args:
      one: from an entry of ``xs`` to a pytree of arrays.
      xs: pytree of arrays with one leading axis.
      chunk_size: how many run at a time; None for all.

    Returns:
      The results along a new leading axis.
    """
    if chunk_size is None or chunk_size >= jax.tree.leaves(xs)[0].shape[0]:
        return jax.vmap(one)(xs)
    # Without the checkpoint lax.map stores the residuals of every chunk.
    return jax.lax.map(jax.checkpoint(one), xs, batch_size=chunk_size)
