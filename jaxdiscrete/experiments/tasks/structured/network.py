"""Structured prediction: lower halves of images from upper halves."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxdiscrete as jd
from jaxdiscrete.experiments.layered.latents import (
    Distribution,
    features,
)
from jaxdiscrete.experiments.layered.model import Layered
from jaxdiscrete.experiments.networks import MLP, Params, apply


@dataclasses.dataclass(frozen=True, eq=False)
class StructuredNetwork(Layered):
    """p(y | x) for the halves of an image, through latents sampled from the model.

    The latents given the upper half x are drawn from the model itself, so the cost is
    ``- log p(y | z_L)`` alone, and the first layer is next to x.

    Args:
      settings: layers and networks.
      pixel_mean: mean of the training images, one entry per pixel.
    """

    @property
    def num_inputs(self) -> int:
        """Pixels of the upper half."""
        return self.num_pixels // 2

    def init(self, key: jax.Array) -> Params:
        """Initial parameters, with an output bias that explains the pixel means.

        Args:
          key: PRNG key.

        Returns:
          ``{"encoder", "decoder"}``: the stochastic layers, and what y is read from.
        """
        widths = self.widths
        key_decoder, *keys = jax.random.split(key, self.depth + 1)
        encoder = {}
        for i, layer_key in enumerate(keys):
            below = jnp.zeros([self.num_inputs, *widths][i])
            network = self.network(widths[i])
            encoder[f"layer_{i}"] = network.init(layer_key, below)["params"]
        decoder = self._decoder.init(key_decoder, jnp.zeros(widths[-1]))["params"]
        mean = self.pixel_mean[self.num_inputs :]
        decoder["output"]["bias"] = self.pixel_bias(mean)
        return {"encoder": encoder, "decoder": decoder}

    def inputs(self, layer: int, below: jax.Array, x: jax.Array) -> jax.Array:
        """What a layer is drawn from, centred; as in :class:`GenerativeNetwork`."""
        if layer == 0:
            upper = slice(0, self.num_inputs)
            return x[upper] - jnp.asarray(self.pixel_mean[upper])
        return features(self.settings, below)

    def divergence(self, params: Params, layer: int, q: Distribution) -> jax.Array:
        """Zero: the latents are drawn from the model itself."""
        del params, layer, q
        return jnp.zeros(())

    def cost(
        self,
        params: Params,
        layer: int,
        q: Distribution,
        below: jax.Array,
        z: jax.Array,
        x: jax.Array,
        temperature: ArrayLike,
    ) -> jax.Array:
        """``- log p(y | z)`` at the top, zero elsewhere; in nats."""
        del q, below, temperature
        if layer < self.depth - 1:
            return jnp.zeros(())
        y = x[self.num_inputs :]
        return -jnp.sum(jd.Bernoulli(self.lower_logits(params, z)).log_prob(y))

    def lower_logits(self, params: Params, z: jax.Array) -> jax.Array:
        """Logits of the lower half.

        Args:
          params: of the model.
          z: sample of the last layer.

        Returns:
          One entry per pixel.
        """
        return apply(self._decoder, params["decoder"], features(self.settings, z))

    @property
    def _decoder(self) -> MLP:
        return self.network(self.num_pixels - self.num_inputs)
