"""Belief networks as chains of stochastic layers, generative and structured.

Layer 0 is next to the image. Every layer has a cost that involves it and the layer
below alone, so that the sum of the costs from a layer on is its local learning signal.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

import jaxdiscrete as jd
from jaxdiscrete.experiments.models.latent_variables import (
    Distribution,
    distribution,
    features,
    log_density,
    num_logits,
)
from jaxdiscrete.experiments.models.networks import MLP, Params, apply
from jaxdiscrete.experiments.settings import Model


class LayeredModel(Protocol):
    """What training and evaluation need of a model with layers of latents."""

    @property
    def depth(self) -> int: ...
    @property
    def num_pixels(self) -> int: ...
    def init(self, key: jax.Array) -> Params: ...
    def inputs(self, layer: int, below: jax.Array, x: jax.Array) -> jax.Array: ...
    def posterior(
        self, params: Params, layer: int, below: jax.Array, x: jax.Array
    ) -> Distribution: ...
    def divergence(self, params: Params, layer: int, q: Distribution) -> jax.Array: ...
    def cost(
        self,
        params: Params,
        layer: int,
        q: Distribution,
        below: jax.Array,
        z: jax.Array,
        x: jax.Array,
        temperature: ArrayLike,
    ) -> jax.Array: ...


@dataclasses.dataclass(frozen=True, eq=False)
class GenerativeNetwork:
    """p(z_L) ... p(z_1 | z_2) p(x | z_1), and the inference network the other way.

    Args:
      settings: layers, networks, prior.
      pixel_mean: mean of the training images, one entry a pixel.
    """

    settings: Model
    pixel_mean: np.ndarray

    @property
    def depth(self) -> int:
        """Stochastic layers."""
        return len(self.settings.num_latents)

    @property
    def num_pixels(self) -> int:
        """Pixels of an image."""
        return len(self.pixel_mean)

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
        widths = [num_logits(self.settings, i) for i in range(self.depth)]
        for i, layer_key in enumerate(jax.random.split(key, self.depth)):
            up, down = jax.random.split(layer_key)
            below = jnp.zeros([self.num_pixels, *widths][i])
            encoder[f"layer_{i}"] = self._encoder(i).init(up, below)["params"]
            above = jnp.zeros(widths[i])
            decoder[f"layer_{i}"] = self._decoder(i).init(down, above)["params"]
        bias = _logit(self.pixel_mean, self.settings.mean_clip)
        decoder["layer_0"]["output"]["bias"] = bias
        params: Params = {"encoder": encoder, "decoder": decoder}
        if self.settings.prior == "learned":
            params["prior"] = jnp.zeros(widths[-1])
        return params

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

    def posterior(
        self, params: Params, layer: int, below: jax.Array, x: jax.Array
    ) -> Distribution:
        """q(z_layer | below).

        Args:
          params: of the model.
          layer: counted from the image.
          below: sample of the layer below; not used by layer 0.
          x: one image.

        Returns:
          The variables of the layer.
        """
        logits = apply(
            self._encoder(layer),
            params["encoder"][f"layer_{layer}"],
            self.inputs(layer, below, x),
        )
        return distribution(self.settings, layer, logits)

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
            logits = jnp.zeros(num_logits(self.settings, top))
        else:
            logits = params["prior"]
        return distribution(self.settings, top, logits)

    def _log_p(self, p: Distribution, z: jax.Array) -> jax.Array:
        return log_density(self.settings, p, z, self.settings.prior_temperature)

    def _encoder(self, layer: int) -> MLP:
        return _network(self.settings, num_logits(self.settings, layer))

    def _decoder(self, layer: int) -> MLP:
        if layer == 0:
            return _network(self.settings, self.num_pixels)
        return _network(self.settings, num_logits(self.settings, layer - 1))


@dataclasses.dataclass(frozen=True, eq=False)
class StructuredNetwork:
    """p(y | x) for the halves of an image, through latents sampled from the model.

    The latents given the upper half x are drawn from the model itself, so the cost is
    ``- log p(y | z_L)`` alone, and the first layer is next to x.

    Args:
      settings: layers and networks.
      pixel_mean: mean of the training images, one entry a pixel.
    """

    settings: Model
    pixel_mean: np.ndarray

    @property
    def depth(self) -> int:
        """Stochastic layers."""
        return len(self.settings.num_latents)

    @property
    def num_pixels(self) -> int:
        """Pixels of an image."""
        return len(self.pixel_mean)

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
        widths = [num_logits(self.settings, i) for i in range(self.depth)]
        key_decoder, *keys = jax.random.split(key, self.depth + 1)
        encoder = {}
        for i, layer_key in enumerate(keys):
            below = jnp.zeros([self.num_inputs, *widths][i])
            network = _network(self.settings, widths[i])
            encoder[f"layer_{i}"] = network.init(layer_key, below)["params"]
        decoder = self._decoder.init(key_decoder, jnp.zeros(widths[-1]))["params"]
        mean = self.pixel_mean[self.num_inputs :]
        decoder["output"]["bias"] = _logit(mean, self.settings.mean_clip)
        return {"encoder": encoder, "decoder": decoder}

    def inputs(self, layer: int, below: jax.Array, x: jax.Array) -> jax.Array:
        """What a layer is drawn from, centred; as in :class:`GenerativeNetwork`."""
        if layer == 0:
            upper = slice(0, self.num_inputs)
            return x[upper] - jnp.asarray(self.pixel_mean[upper])
        return features(self.settings, below)

    def posterior(
        self, params: Params, layer: int, below: jax.Array, x: jax.Array
    ) -> Distribution:
        """p(z_layer | below); as in :class:`GenerativeNetwork`."""
        network = _network(self.settings, num_logits(self.settings, layer))
        logits = apply(
            network,
            params["encoder"][f"layer_{layer}"],
            self.inputs(layer, below, x),
        )
        return distribution(self.settings, layer, logits)

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
          One entry a pixel.
        """
        return apply(self._decoder, params["decoder"], features(self.settings, z))

    @property
    def _decoder(self) -> MLP:
        return _network(self.settings, self.num_pixels - self.num_inputs)


TASKS: dict[str, type[GenerativeNetwork] | type[StructuredNetwork]] = {
    "generative": GenerativeNetwork,
    "structured": StructuredNetwork,
}


def make_model(
    settings: Model, pixel_mean: np.ndarray
) -> GenerativeNetwork | StructuredNetwork:
    """The model of a configuration.

    Args:
      settings: of the model.
      pixel_mean: mean of the training images, one entry a pixel.

    Returns:
      The model of ``settings.task``.
    """
    return TASKS[settings.task](settings, pixel_mean)


def hardened(model: Any) -> Any:
    """The same model for hard samples, whose bound is a bound on the likelihood.

    Args:
      model: any of :data:`TASKS`.

    Returns:
      A copy with the sampled divergence and the same parameters.
    """
    settings = dataclasses.replace(model.settings, divergence="sampled")
    return dataclasses.replace(model, settings=settings)


def _network(settings: Model, features: int) -> MLP:
    return MLP(
        settings.hidden, features, settings.activation, settings.leak, settings.init
    )


def _logit(mean: np.ndarray, clip: float) -> jax.Array:
    # Pixels that are never on would have a bias of minus infinity.
    p = jnp.clip(jnp.asarray(mean, jnp.float32), clip, 1.0 - clip)
    return jnp.log(p) - jnp.log1p(-p)
