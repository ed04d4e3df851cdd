"""Rows of images that show what a trained model sees and makes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.tasks.semi_supervised import NUM_LABELS
from jaxdiscrete.experiments.training.objective import sample_layers

NUM_IMAGES = 10
NUM_ROWS = 4


def generative_pictures(
    model: Any, params: Any, key: jax.Array, x: jax.Array
) -> dict[str, Picture]:
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


def structured_pictures(
    model: Any, params: Any, key: jax.Array, x: jax.Array
) -> dict[str, Picture]:
    """Images, and several completions of their lower halves."""
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


def semi_supervised_pictures(
    model: Any, params: Any, key: jax.Array
) -> dict[str, Picture]:
    """Samples of every class."""

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
