"""All layers of a model as one sample, from the image upwards."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.layered.model import LayeredModel
from jaxdiscrete.experiments.networks import Params


def sample_layers(
    model: LayeredModel, params: Params, key: jax.Array, x: jax.Array
) -> list[jax.Array]:
    """Hard samples of all layers for one example.

    Args:
      model: the model.
      params: its parameters.
      key: PRNG key.
      x: one image.

    Returns:
      One sample per layer, that next to the image first.
    """
    below, samples = x, []
    for layer, layer_key in enumerate(jax.random.split(key, model.depth)):
        below = model.posterior(params, layer, below, x).sample(layer_key)
        samples.append(below)
    return samples


class Chain:
    """All layers together, as one sampler.

    Args:
      model: the model.
      params: its parameters.
      x: one image.
    """

    def __init__(self, model: LayeredModel, params: Params, x: jax.Array) -> None:
        self.model, self.params, self.x = model, params, x

    def sample(self, key: jax.Array) -> list[jax.Array]:
        """Hard samples of all layers."""
        return sample_layers(self.model, self.params, key, self.x)

    def log_prob(self, samples: list[jax.Array]) -> jax.Array:
        """The log-probability of a sample per layer."""
        total, below = jnp.zeros(()), self.x
        for layer, z in enumerate(samples):
            q = self.model.posterior(self.params, layer, below, self.x)
            total += jnp.sum(q.log_prob(z))
            below = z
        return total
