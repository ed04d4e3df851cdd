"""Images, their masks, and what is left of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.tasks.attention.network import AttentionNetwork


def draw(
    network: AttentionNetwork, params: Params, key: jax.Array, x: jax.Array
) -> dict[str, Picture]:
    """One column per image.

    Args:
      network: which chooses.
      params: its parameters.
      key: PRNG key.
      x: images ``[columns, pixels]``.

    Returns:
      ``{"masks": ...}``.
    """

    @jax.jit
    def look(keys: jax.Array) -> tuple[jax.Array, ...]:
        def one(key: jax.Array, x: jax.Array) -> tuple[jax.Array, ...]:
            q = network.choose(params, x)
            probability, z = network.spread(q.mean()), network.spread(q.sample(key))
            return x, probability, z, x * z

        return jax.vmap(one)(keys, x)

    rows = look(jax.random.split(key, len(x)))
    return {
        "masks": Picture(
            np.asarray(jnp.stack(rows)),
            ["image", "chance to be shown", "mask", "what is shown"],
            "Masks of test images, one of each class",
        )
    }
