"""What a generative model makes: samples, and reconstructions of images."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxdiscrete.experiments.layered.chain import sample_layers
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.training.images import NUM_IMAGES, NUM_ROWS


def draw(model: Any, params: Any, key: jax.Array, x: jax.Array) -> dict[str, Picture]:
    """Samples of the prior, and images beside what their posterior decodes to.

    Args:
      model: a generative model.
      params: the model's parameters.
      key: PRNG key.
      x: test images, ``[columns, pixels]``.

    Returns:
      Pictures by file name.
    """
    model = model.hardened()
    key_prior, key_posterior = jax.random.split(key)

    @jax.jit
    def decode(keys: jax.Array) -> jax.Array:
        def one(key: jax.Array, x: jax.Array) -> jax.Array:
            up, down = jax.random.split(key)
            return model.decode(params, down, sample_layers(model, params, up, x)[-1])

        return jax.vmap(one)(keys, x)

    @jax.jit
    def sample(keys: jax.Array) -> jax.Array:
        return jax.vmap(jax.vmap(lambda key: model.sample(params, key)))(keys)

    decoded = decode(jax.random.split(key_posterior, len(x)))
    samples = sample(jax.random.split(key_prior, (NUM_ROWS, NUM_IMAGES)))
    return {
        "samples": Picture(
            np.asarray(samples), [], "Pixel probabilities of samples from the prior"
        ),
        "reconstructions": Picture(
            np.stack([x, decoded]),
            ["test image", "decoded"],
            "Test images, and pixel probabilities at a posterior sample",
        ),
    }
