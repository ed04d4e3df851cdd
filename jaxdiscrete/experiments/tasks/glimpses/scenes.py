"""Digits somewhere on a canvas, among fragments of other digits.

References:
  V. Mnih, N. Heess, A. Graves, K. Kavukcuoglu, Recurrent models of visual attention,
  2014, whose cluttered and translated MNIST has such images.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.tasks.glimpses.settings import Settings


class Scene(NamedTuple):
    """What there is to see, and the part of it that matters; values from 0 to 1."""

    image: jax.Array
    """``[height, width]``."""
    digit: jax.Array
    """The same without the fragments."""


def compose(
    settings: Settings,
    image_shape: tuple[int, int],
    key: jax.Array,
    digit: jax.Array,
    others: jax.Array,
) -> Scene:
    """Puts one digit on a canvas, and fragments of others around and over it.

    Args:
      settings: of the task.
      image_shape: height and width of a digit.
      key: PRNG key of all places.
      digit: its pixels from 0 to 1, ``[pixels]``.
      others: the pixels of the digits of which the fragments are, one row each.

    Returns:
      One scene.
    """
    key_digit, key_fragments = jax.random.split(key)
    canvas = jnp.zeros(settings.canvas)

    def put(key: jax.Array, part: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice(canvas, part, _corner(key, canvas, part))

    def put_fragment(key: jax.Array, other: jax.Array) -> jax.Array:
        key_cut, key_place = jax.random.split(key)
        whole = other.reshape(image_shape)
        part = jnp.zeros((settings.fragment, settings.fragment))
        corner = _corner(key_cut, whole, part)
        return put(key_place, jax.lax.dynamic_slice(whole, corner, part.shape))

    digit = put(key_digit, digit.reshape(image_shape))
    if not settings.num_fragments:
        return Scene(digit, digit)
    keys = jax.random.split(key_fragments, settings.num_fragments)
    fragments = jax.vmap(put_fragment)(keys, others)
    return Scene(jnp.maximum(digit, fragments.max(axis=0)), digit)


def _corner(key: jax.Array, whole: jax.Array, part: jax.Array) -> jax.Array:
    """A corner from which on a part lies within the whole."""
    room = jnp.array(whole.shape) - jnp.array(part.shape)
    return jax.random.randint(key, (2,), 0, room + 1)
