"""The elements of plates: sums over them, and arrays taken apart along them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Frame(NamedTuple):
    """One plate around a site."""

    name: str
    dim: int
    size: int


def element_shape(frames: Iterable[Frame]) -> tuple[int, ...]:
    """The shape of the plates: their sizes at their dimensions, 1 between them.

    Args:
      frames: the plates around a site.
    """
    frames = list(frames)
    shape = [1] * max((-f.dim for f in frames), default=0)
    for frame in frames:
        shape[frame.dim] = frame.size
    return tuple(shape)


def sum_to(x: jax.Array, frames: Iterable[Frame], kept: Iterable[Frame]) -> jax.Array:
    """Sums a term over all that is not an element of the kept plates.

    Args:
      x: of the batch shape of a site with the plates ``frames``.
      frames: the plates around it.
      kept: the plates of another site.

    Returns:
      Array of the rank of :func:`element_shape` of ``kept``, which broadcasts to it.
    """
    kept = list(kept)
    shared = {f.dim for f in frames if f in kept}
    rank = len(element_shape(kept))
    axes = tuple(a for a in range(x.ndim) if a - x.ndim not in shared)
    x = jnp.sum(x, axis=axes, keepdims=True)
    missing = max(rank - x.ndim, 0)
    return jnp.reshape(x, (1,) * missing + x.shape[max(x.ndim - rank, 0) :])


def apart(x: jax.Array, frames: Iterable[Frame], event_ndim: int) -> jax.Array:
    """Brings the elements of plates to the front, as one axis.

    Args:
      x: ``[*batch, *event]``, of a site with these plates.
      frames: the plates.
      event_ndim: how many axes of ``x`` are no batch.

    Returns:
      ``[elements, ...]``, with the axes of the batch that are no plate, and the event.
    """
    frames = list(frames)
    batch_ndim = x.ndim - event_ndim
    axes = sorted(batch_ndim + f.dim for f in frames)
    x = jnp.moveaxis(x, axes, range(len(axes)))
    return jnp.reshape(x, (math.prod(x.shape[: len(axes)]), *x.shape[len(axes) :]))


def per_element(site: str, what: str, x: Any, shape: tuple[int, ...]) -> jax.Array:
    """An array that has one entry per element, along one axis.

    Args:
      site: the name of the site.
      what: what the array is, for the message.
      x: of the shape of the plates and then its own.
      shape: of the plates.
    """
    x = jnp.asarray(x)
    if x.shape[: len(shape)] != shape:
        raise ValueError(
            f"Expected {what} of the site {site!r} in the shape of its plates {shape}, "
            f"one entry per element, got shape {np.shape(x)}. Nothing is broadcast."
        )
    return jnp.reshape(x, (math.prod(shape), *x.shape[len(shape) :]))
