"""What a structured model makes: completions of images."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.layered.chain import sample_layers
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.training.images import NUM_ROWS


def draw(model: Any, params: Any, key: jax.Array, x: jax.Array) -> dict[str, Picture]:
    """Images, and several completions of their lower halves.

    Args:
      model: a structured model.
      params: the model's parameters.
      key: PRNG key.
      x: test images, ``[columns, pixels]``.

    Returns:
      Pictures by file name.
    """
    model = model.hardened()

    @jax.jit
    def complete(keys: jax.Array) -> jax.Array:
        def one(key: jax.Array, x: jax.Array) -> jax.Array:
            z = sample_layers(model, params, key, x)[-1]
            lower = jax.nn.sigmoid(model.lower_logits(params, z))
            return jnp.concatenate([x[: model.num_inputs], lower])

        return jax.vmap(jax.vmap(one), (0, None))(keys, x)

    completed = complete(jax.random.split(key, (NUM_ROWS, len(x))))
    return {
        "completions": Picture(
            np.concatenate([x[None], completed]),
            ["test image", *["completed"] * NUM_ROWS],
            "Test images, and pixel probabilities of their lower halves",
        )
    }
