"""A variational autoencoder with Bernoulli latents and a learned prior."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.experiments.settings import Model

Params = Any


class MLP(nn.Module):
    """Tanh layers and a linear output; without layers, a linear map."""

    hidden: tuple[int, ...]
    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(self.features, name="output")(x)


def apply(module: nn.Module, params: Params, *inputs: jax.Array) -> jax.Array:
    """The single output of a module without state.

    Args:
      module: a flax module.
      params: its parameters.
      inputs: of its call.

    Returns:
      Its output.
    """
    return cast(jax.Array, module.apply({"params": params}, *inputs))


@dataclasses.dataclass(frozen=True, eq=False)
class DiscreteVAE:
    """Encoder, decoder and prior as functions of their parameters.

    Args:
      settings: latents and hidden layers.
      pixel_mean: mean of the training images, one entry a pixel.
    """

    settings: Model
    pixel_mean: np.ndarray

    def init(self, key: jax.Array) -> Params:
        """Initial parameters, with an output bias that explains the pixel means.

        Args:
          key: PRNG key.

        Returns:
          ``{"encoder", "decoder", "prior"}``.
        """
        encoder_key, decoder_key = jax.random.split(key)
        x = jnp.zeros(len(self.pixel_mean))
        z = jnp.zeros(self.settings.num_latents)
        decoder = self._decoder.init(decoder_key, z)["params"]
        # Pixels that are never on would have a bias of minus infinity.
        mean = jnp.clip(jnp.asarray(self.pixel_mean), 0.01, 0.99)
        decoder["output"]["bias"] = jnp.log(mean) - jnp.log1p(-mean)
        return {
            "encoder": self._encoder.init(encoder_key, x)["params"],
            "decoder": decoder,
            "prior": jnp.zeros(self.settings.num_latents),
        }

    def posterior_logits(self, params: Params, x: jax.Array) -> jax.Array:
        """Logits of q(z | x).

        Args:
          params: of the model.
          x: images ``[batch, pixels]``.

        Returns:
          ``[batch, latents]``.
        """
        centred = x - jnp.asarray(self.pixel_mean)[None]
        return apply(self._encoder, params["encoder"], centred)

    def pixel_logits(self, params: Params, z: jax.Array) -> jax.Array:
        """Logits of p(x | z).

        Args:
          params: of the model.
          z: latents ``[..., latents]``, binary or relaxed.

        Returns:
          ``[..., pixels]``.
        """
        return apply(self._decoder, params["decoder"], 2.0 * z - 1.0)

    def reconstruction_cost(
        self, params: Params, z: jax.Array, x: jax.Array
    ) -> jax.Array:
        """The objective of the estimators, ``-log p(x | z)``.

        Args:
          params: of the model.
          z: one latent vector, binary or relaxed.
          x: one image.

        Returns:
          A scalar, in nats.
        """
        return -jd.Bernoulli(self.pixel_logits(params, z)).log_prob(x).sum()

    def kl_divergence(self, params: Params, logits: jax.Array) -> jax.Array:
        """KL(q, prior) in closed form.

        Args:
          params: of the model.
          logits: of one posterior, ``[latents]``.

        Returns:
          A scalar, in nats.
        """
        prior = jd.Bernoulli(params["prior"])
        return jd.Bernoulli(logits).kl_divergence(prior).sum()

    @property
    def _encoder(self) -> MLP:
        return MLP(self.settings.hidden, self.settings.num_latents)

    @property
    def _decoder(self) -> MLP:
        return MLP(self.settings.hidden, len(self.pixel_mean))


def evaluate(
    model: DiscreteVAE, params: Params, key: jax.Array, x: jax.Array, num_samples: int
) -> tuple[jax.Array, jax.Array]:
    """The ELBO and the importance-weighted bound, with hard samples.

    Args:
      model: the autoencoder.
      params: its parameters.
      key: PRNG key.
      x: images ``[batch, pixels]``.
      num_samples: samples an image. Static.

    Returns:
      Two arrays, one entry an image, in nats. With one sample the bound is an ELBO
      of more noise, its divergence being sampled.
    """
    logits = model.posterior_logits(params, x)
    kl = jax.vmap(lambda row: model.kl_divergence(params, row))(logits)
    q, prior = jd.Bernoulli(logits), jd.Bernoulli(params["prior"])

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = q.sample(key)
        cost = jax.vmap(lambda z, x: model.reconstruction_cost(params, z, x))(z, x)
        log_ratio = jax.vmap(prior.log_prob)(z) - q.log_prob(z)
        return cost, log_ratio.sum(axis=-1) - cost

    cost, log_weights = jax.lax.map(one, jax.random.split(key, num_samples))
    bound = jax.nn.logsumexp(log_weights, axis=0) - jnp.log(float(num_samples))
    return -(cost.mean(axis=0) + kl), bound
