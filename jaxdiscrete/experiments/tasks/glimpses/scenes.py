"""Digits somewhere on a canvas, among fragments of other digits.

References:
  V. Mnih, N. Heess, A. Graves, K. Kavukcuoglu, Recurrent models of visual attention,
  2014, whose cluttered and translated MNIST has such images.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.tasks.glimpses.settings import Settings

#: Scenes that are made at once.
_CHUNK = 500


class Scene(NamedTuple):
    """A canvas, and the part of it that matters; values from 0 to 1."""

    image: jax.Array
    """``[height, width]``."""
    digit: jax.Array
    """The same without the fragments."""


@dataclasses.dataclass(frozen=True)
class Maker:
    """Puts digits on canvases, with fragments of others around and over them.

    Equal ones share their compiled programs.

    Args:
      settings: of the task.
      digit_shape: height and width of a digit.
      white: the stored value that is a pixel of one.
    """

    settings: Settings
    digit_shape: tuple[int, int]
    white: float

    def __call__(self, key: jax.Array, chosen: jax.Array, rows: jax.Array) -> Scene:
        """Scenes of some digits.

        Args:
          key: PRNG key of all fragments and places.
          chosen: rows of the digits, one per scene.
          rows: digits as they are stored, of which the fragments are, too.

        Returns:
          The scenes, in the order of ``chosen``.
        """
        key_others, key_places = jax.random.split(key)
        shape = (len(chosen), self.settings.num_fragments)
        others = jax.random.randint(key_others, shape, 0, len(rows))

        def one(args: tuple[jax.Array, jax.Array, jax.Array]) -> Scene:
            key, digit, others = args
            return self._compose(key, rows[digit], rows[others])

        args = (jax.random.split(key_places, len(chosen)), chosen, others)
        if len(chosen) <= _CHUNK:
            return jax.vmap(one)(args)
        return jax.lax.map(one, args, batch_size=_CHUNK)

    def _compose(self, key: jax.Array, digit: jax.Array, others: jax.Array) -> Scene:
        key_digit, key_fragments = jax.random.split(key)
        canvas = jnp.zeros(self.settings.canvas)

        def pixels(row: jax.Array) -> jax.Array:
            return row.astype(jnp.float32).reshape(self.digit_shape) / self.white

        def put(key: jax.Array, part: jax.Array) -> jax.Array:
            corner = _corner(key, canvas, part)
            return jax.lax.dynamic_update_slice(canvas, part, corner)

        def put_fragment(key: jax.Array, other: jax.Array) -> jax.Array:
            key_cut, key_place = jax.random.split(key)
            whole = pixels(other)
            part = jnp.zeros((self.settings.fragment, self.settings.fragment))
            corner = _corner(key_cut, whole, part)
            return put(key_place, jax.lax.dynamic_slice(whole, corner, part.shape))

        alone = put(key_digit, pixels(digit))
        if not self.settings.num_fragments:
            return Scene(alone, alone)
        keys = jax.random.split(key_fragments, self.settings.num_fragments)
        fragments = jax.vmap(put_fragment)(keys, others)
        return Scene(jnp.maximum(alone, fragments.max(axis=0)), alone)


@functools.partial(jax.jit, static_argnums=0)
def make_scenes(
    maker: Maker, key: jax.Array, chosen: jax.Array, rows: jax.Array
) -> Scene:
    """The scenes of a :class:`Maker`, compiled once for equal makers and shapes."""
    return maker(key, chosen, rows)


def _corner(key: jax.Array, whole: jax.Array, part: jax.Array) -> jax.Array:
    """A corner from which on a part lies within the whole."""
    room = jnp.array(whole.shape) - jnp.array(part.shape)
    return jax.random.randint(key, (2,), 0, room + 1)
