"""Scenes, and what of them was seen after one glimpse, two, three, ..."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.tasks.glimpses.evaluation import watch
from jaxdiscrete.experiments.tasks.glimpses.network import GlimpseNetwork

#: What was not seen is drawn this much paler, on this grey.
_PALE, _GREY = 0.35, 0.25


def draw(
    network: GlimpseNetwork, weights: Params, key: jax.Array, images: jax.Array
) -> dict[str, Picture]:
    """One column per scene, one row per glimpse.

    Args:
      network: which looks.
      weights: its parameters.
      key: PRNG key.
      images: of the scenes, with the columns first.

    Returns:
      ``{"glimpses": ...}``.
    """
    keys = jax.random.split(key, len(images))
    rows = np.asarray(_look(network, weights, keys, images))
    counts = range(1, len(rows))
    names = ["scene", *(f"{n} glimpse{'s' if n > 1 else ''}" for n in counts)]
    return {"glimpses": Picture(rows, names, "Glimpses of test scenes")}


@functools.partial(jax.jit, static_argnums=0)
def _look(
    network: GlimpseNetwork, weights: Params, keys: jax.Array, images: jax.Array
) -> jax.Array:
    """``[1 + glimpses, columns, pixels]``."""

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        z = watch(network, weights, key, image).z
        so_far = jax.lax.cummax(jnp.tensordot(z, network.windows, 1), axis=0)
        rows = jnp.where(so_far > 0.0, image, _GREY + _PALE * image)
        return jnp.concatenate([image[None], rows]).reshape(len(rows) + 1, -1)

    return jax.vmap(one, out_axes=1)(keys, images)
