"""The semi-supervised autoencoder: a class that is latent where it is not given.

p(y) p(v) p(x | y, v) with a categorical class y and a Gaussian vector v, and the
inference networks q(y | x) and q(v | x, y).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.experiments.networks import Params, apply
from jaxdiscrete.experiments.tasks.semi_supervised.settings import NUM_LABELS, Settings


class ConvEncoder(nn.Module):
    """Three convolutions of stride two, and a linear output."""

    channels: tuple[int, ...]
    features: int
    image_shape: tuple[int, int]

    @nn.compact
    def __call__(self, x: jax.Array, extra: jax.Array) -> jax.Array:
        x = x.reshape(*self.image_shape, 1)
        for width in self.channels:
            x = nn.relu(nn.Conv(width, (3, 3), strides=(2, 2))(x))
        return nn.Dense(self.features)(jnp.concatenate([x.ravel(), extra]))


class ConvDecoder(nn.Module):
    """A linear layer and transposed convolutions, cropped to the image."""

    channels: tuple[int, ...]
    image_shape: tuple[int, int]

    @nn.compact
    def __call__(self, v: jax.Array) -> jax.Array:
        stride = 2 ** len(self.channels)
        height, width = (-(-side // stride) for side in self.image_shape)
        first, *others = self.channels
        x = nn.relu(nn.Dense(height * width * first)(v))
        x = x.reshape(height, width, first)
        for features in (*others, others[-1] if others else first):
            x = nn.relu(nn.ConvTranspose(features, (3, 3), strides=(2, 2))(x))
        x = nn.ConvTranspose(1, (3, 3), name="output")(x)
        return x[: self.image_shape[0], : self.image_shape[1], 0].ravel()


@dataclasses.dataclass(frozen=True, eq=False)
class SemiSupervisedNetwork:
    """The networks and the costs of one example.

    Args:
      settings: convolution channels and the size of v.
      pixel_mean: mean of the training images, one entry per pixel.
      image_shape: height and width.
    """

    settings: Settings
    pixel_mean: np.ndarray
    image_shape: tuple[int, int]

    def init(self, key: jax.Array) -> Params:
        """Initial parameters.

        Args:
          key: PRNG key.

        Returns:
          ``{"encoder", "decoder"}``: networks of the class and of v, and of the image.
        """
        key_class, key_vector, key_decoder = jax.random.split(key, 3)
        x, y = jnp.zeros(len(self.pixel_mean)), jnp.zeros(NUM_LABELS)
        v = jnp.zeros(NUM_LABELS + self.settings.num_gaussian)
        return {
            "encoder": {
                "class": self._classifier.init(key_class, x, y[:0])["params"],
                "vector": self._encoder.init(key_vector, x, y)["params"],
            },
            "decoder": self._decoder.init(key_decoder, v)["params"],
        }

    def classify(self, params: Params, x: jax.Array) -> jd.OneHotCategorical:
        """q(y | x).

        Args:
          params: of the model.
          x: one image.

        Returns:
          One variable of ten classes.
        """
        network = params["encoder"]["class"]
        return jd.OneHotCategorical(
            apply(self._classifier, network, self._centred(x), jnp.zeros(0))
        )

    def cost(self, params: Params, key: jax.Array, y: jax.Array, x: jax.Array) -> Any:
        """``log q(v | x, y) - log p(x, y, v)`` at one v, differentiable in y.

        Args:
          params: of the model.
          key: PRNG key of v.
          y: one-hot or relaxed class.
          x: one image.

        Returns:
          A scalar, in nats, whose expectation over v is the negative bound given y.
        """
        statistics = apply(
            self._encoder, params["encoder"]["vector"], self._centred(x), y
        )
        mean, log_scale = jnp.split(statistics, 2)
        noise = jax.random.normal(key, mean.shape)
        v = mean + jnp.exp(log_scale) * noise
        log_ratio = jnp.sum(0.5 * (v**2 - noise**2) - log_scale)
        down = apply(self._decoder, params["decoder"], jnp.concatenate([y, v]))
        log_p = jnp.sum(jd.Bernoulli(down).log_prob(x))
        return log_ratio - log_p + jnp.log(float(NUM_LABELS))

    def generate(self, params: Params, key: jax.Array, y: jax.Array) -> jax.Array:
        """Pixel probabilities of a sample of a class.

        Args:
          params: of the model.
          key: PRNG key.
          y: one-hot class.

        Returns:
          One image.
        """
        v = jax.random.normal(key, (self.settings.num_gaussian,))
        down = apply(self._decoder, params["decoder"], jnp.concatenate([y, v]))
        return jax.nn.sigmoid(down)

    def _centred(self, x: jax.Array) -> jax.Array:
        return x - jnp.asarray(self.pixel_mean)

    @property
    def _classifier(self) -> ConvEncoder:
        return ConvEncoder(self.settings.channels, NUM_LABELS, self.image_shape)

    @property
    def _encoder(self) -> ConvEncoder:
        size = 2 * self.settings.num_gaussian
        return ConvEncoder(self.settings.channels, size, self.image_shape)

    @property
    def _decoder(self) -> ConvDecoder:
        return ConvDecoder(self.settings.channels[::-1], self.image_shape)
