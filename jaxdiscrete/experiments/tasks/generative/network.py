"""The generative belief network and its inference network."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxdiscrete as jd
from jaxdiscrete.experiments.layered.latents import (
    Distribution,
    distribution,
    features,
    log_density,
)
from jaxdiscrete.experiments.layered.model import Layered
from jaxdiscrete.experiments.networks import MLP, Params, apply
from jaxdiscrete.experiments.tasks.generative.settings import Settings


@dataclasses.dataclass(frozen=True, eq=False)
class GenerativeNetwork(Layered):
    """p(z_L) ... p(z_1 | z_2) p(x | z_1), and the inference network the other way.

    Args:
      settings: layers, networks, prior.
      pixel_mean: mean of the training images, one entry per pixel.
    """

    settings: Settings

    def init(self, key: jax.Array) -> Params:
        """Initial parameters, with an output bias that explains the pixel means.

        Args:
          key: PRNG key.

        Returns:
          ``{"encoder", "decoder", "prior"}``, networks by layer; no prior where it
          is not learned.
        """
        encoder: Params = {}
        decoder: Params = {}
        widths = self.widths
        for i, layer_key in enumerate(jax.random.split(key, self.depth)):
            up, down = jax.random.split(layer_key)
            below = jnp.zeros([self.num_pixels, *widths][i])
            encoder[f"layer_{i}"] = self.network(widths[i]).init(up, below)["params"]
            above = jnp.zeros(widths[i])
            decoder[f"layer_{i}"] = self._decoder(i).init(down, above)["params"]
        bias = self.pixel_bias(self.pixel_mean)
        decoder["layer_0"]["output"]["bias"] = bias
        params: Params = {"encoder": encoder, "decoder": decoder}
        if self.settings.prior == "learned":
            params["prior"] = jnp.zeros(widths[-1])
        return params

    def hardened(self) -> GenerativeNetwork:
        """The same network with the sampled divergence."""
        settings = dataclasses.replace(self.settings, divergence="sampled")
        return dataclasses.replace(self, settings=settings)

    def inputs(self, layer: int, below: jax.Array, x: jax.Array) -> jax.Array:
        """What a layer is inferred from, centred.

        Args:
          layer: counted from the image.
          below: sample of the layer below; not used by layer 0.
          x: one image.

        Returns:
          A vector.
        """
        if layer == 0:
            return x - jnp.asarray(self.pixel_mean)
        return features(self.settings, below)

    def divergence(self, params: Params, layer: int, q: Distribution) -> jax.Array:
        """What the cost leaves out because it has a closed form given the layer below.

        Args:
          params: of the model.
          layer: counted from the image.
          q: the posterior of the layer.

        Returns:
          KL(q, prior) at the top and the negative entropy of q elsewhere if the
          divergence is analytic, else zero.
        """
        if self.settings.divergence != "analytic":
            return jnp.zeros(())
        if layer == self.depth - 1:
            return jnp.sum(q.kl_divergence(self._prior(params)))
        return -jnp.sum(q.entropy())

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
        """``log q(z | below) - log p(below | z)``, and ``- log p(z)`` at the top.

        Args:
          params: of the model.
          layer: counted from the image.
          q: the posterior of the layer, with the gradient path that log q shall have.
          below: sample of the layer below; not used by layer 0.
          z: sample of the layer.
          x: one image.
          temperature: of q's density, for the Concrete divergence.

        Returns:
          A scalar, in nats.
        """
        down = apply(
            self._decoder(layer),
            params["decoder"][f"layer_{layer}"],
            features(self.settings, z),
        )
        if layer == 0:
            cost = -jnp.sum(jd.Bernoulli(down).log_prob(x))
        else:
            p = distribution(self.settings, layer - 1, down)
            cost = -self._log_p(p, below)
        if self.settings.divergence == "analytic":
            return cost
        cost += log_density(self.settings, q, z, temperature)
        if layer == self.depth - 1:
            cost -= self._log_p(self._prior(params), z)
        return cost

    def decode(self, params: Params, key: jax.Array, z: jax.Array) -> jax.Array:
        """Pixel probabilities below a sample of the top layer.

        Args:
          params: of the model.
          key: PRNG key for the layers between.
          z: sample of the top layer, hard.

        Returns:
          One image.
        """
        for layer in reversed(range(self.depth)):
            network = params["decoder"][f"layer_{layer}"]
            down = apply(self._decoder(layer), network, features(self.settings, z))
            if layer > 0:
                key, here = jax.random.split(key)
                z = distribution(self.settings, layer - 1, down).sample(here)
        return jax.nn.sigmoid(down)

    def sample(self, params: Params, key: jax.Array) -> jax.Array:
        """Pixel probabilities of a sample of the model.

        Args:
          params: of the model.
          key: PRNG key.

        Returns:
          One image.
        """
        key_top, key_below = jax.random.split(key)
        return self.decode(params, key_below, self._prior(params).sample(key_top))

    def _prior(self, params: Params) -> Distribution:
        top = self.depth - 1
        if self.settings.prior == "uniform":
            logits = jnp.zeros(self.widths[top])
        else:
            logits = params["prior"]
        return distribution(self.settings, top, logits)

    def _log_p(self, p: Distribution, z: jax.Array) -> jax.Array:
        return log_density(self.settings, p, z, self.settings.prior_temperature)

    def _decoder(self, layer: int) -> MLP:
        if layer == 0:
            return self.network(self.num_pixels)
        return self.network(self.widths[layer - 1])
