"""Scenes, and what of them was seen after one glimpse, two, three, ..."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.tasks.glimpses.episodes import Episodes
from jaxdiscrete.experiments.tasks.glimpses.scenes import Scene

#: What was not seen is drawn this much paler, on this grey.
_PALE, _GREY = 0.35, 0.25


def draw(
    episodes: Episodes, weights: Params, key: jax.Array, scenes: Scene
) -> dict[str, Picture]:
    """One column per scene, one row per glimpse.

    Args:
      episodes: which looks.
      weights: of its network.
      key: PRNG key.
      scenes: with the columns first.

    Returns:
      ``{"glimpses": ...}``.
    """
    windows = episodes.network.windows

    @jax.jit
    def look(keys: jax.Array) -> jax.Array:
        def one(key: jax.Array, image: jax.Array) -> jax.Array:
            z = episodes.watch(weights, key, image).z
            so_far = jax.lax.cummax(jnp.tensordot(z, windows, 1), axis=0)
            pale = _GREY + _PALE * image
            rows = jnp.where(so_far > 0.0, image, pale)
            return jnp.concatenate([image[None], rows]).reshape(len(rows) + 1, -1)

        return jax.vmap(one, out_axes=1)(keys, scenes.image)

    rows = np.asarray(look(jax.random.split(key, len(scenes.image))))
    counts = range(1, len(rows))
    names = ["scene", *(f"{n} glimpse{'s' if n > 1 else ''}" for n in counts)]
    return {"glimpses": Picture(rows, names, "Glimpses of test scenes")}
