"""What a semi-supervised model makes: samples of every class."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.tasks.semi_supervised.settings import NUM_LABELS
from jaxdiscrete.experiments.training.images import NUM_ROWS


def draw(model: Any, params: Any, key: jax.Array) -> dict[str, Picture]:
    """Samples of every class.

    Args:
      model: a semi-supervised model.
      params: the model's parameters.
      key: PRNG key.

    Returns:
      Pictures by file name.
    """

    @jax.jit
    def sample(keys: jax.Array) -> jax.Array:
        def one(key: jax.Array, y: jax.Array) -> jax.Array:
            return model.generate(params, key, y)

        return jax.vmap(jax.vmap(one), (0, None))(keys, jnp.eye(NUM_LABELS))

    keys = jax.random.split(key, (NUM_ROWS, NUM_LABELS))
    return {
        "samples": Picture(
            np.asarray(sample(keys)),
            [],
            "Pixel probabilities of samples, one class per column",
        )
    }
