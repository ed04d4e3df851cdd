"""The network that chooses a mask, and what a classifier makes of what it shows."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.networks import MLP, Params, apply
from jaxdiscrete.experiments.tasks.attention.settings import Settings


@dataclasses.dataclass(frozen=True, eq=False)
class AttentionNetwork:
    """A mask of an image, and the cost of seeing no more than it shows.

    Args:
      settings: of the task.
      image_shape: height and width of an image, multiples of those of the mask.
      num_classes: labels that there are.
    """

    settings: Settings
    image_shape: tuple[int, int]
    num_classes: int

    def init(self, key: jax.Array) -> Params:
        """Initial parameters of the network that chooses.

        Args:
          key: PRNG key.

        Returns:
          The parameters.
        """
        height, width = self.image_shape
        return self._selector.init(key, jnp.zeros(height * width))["params"]

    def choose(self, params: Params, x: jax.Array) -> jd.Bernoulli:
        """q(z | x), a variable for every part of the image.

        Args:
          params: as from :meth:`init`.
          x: one image, ``[pixels]``.

        Returns:
          The distribution of the mask.
        """
        return jd.Bernoulli(apply(self._selector, params, x))

    def spread(self, z: jax.Array) -> jax.Array:
        """A mask of the size of the image.

        Args:
          z: one mask, ``[variables]``.

        Returns:
          ``[pixels]``, each with the value of its variable.
        """
        (rows, columns), (height, width) = self.settings.mask, self.image_shape
        z = jnp.repeat(z.reshape(rows, columns), height // rows, axis=0)
        return jnp.repeat(z, width // columns, axis=1).ravel()

    def classify(self, classifier: Params, x: jax.Array) -> jax.Array:
        """Log-probabilities of the labels.

        Args:
          classifier: frozen weights, as :func:`~.classifier.freeze` makes them.
          x: one image, with hidden pixels at zero.

        Returns:
          ``[labels]``.
        """
        return jax.nn.log_softmax(apply(self.frozen_classifier, classifier, x))

    def log_prob(self, classifier: Params, x: jax.Array, label: jax.Array) -> jax.Array:
        """log(p(label | x) + floor), differentiable in x.

        Args:
          classifier: frozen weights.
          x: one image, with hidden pixels at zero.
          label: its class, an integer.

        Returns:
          A scalar, in nats.
        """
        log_p = self.classify(classifier, x)[label]
        return jnp.logaddexp(log_p, jnp.log(jnp.float32(self.settings.floor)))

    @property
    def frozen_classifier(self) -> MLP:
        """A classifier whose batch normalisation has become part of its weights."""
        return MLP(self.settings.predictor.hidden, self.num_classes, "relu")

    @property
    def _selector(self) -> MLP:
        rows, columns = self.settings.mask
        init_name = "glorot_uniform"
        return MLP(self.settings.hidden, rows * columns, "relu", init_name=init_name)


def as_pixels(rows: jax.Array, white: float) -> jax.Array:
    """Images from stored ones.

    Args:
      rows: uint8, of any shape.
      white: the value that is a pixel of one.

    Returns:
      float32 of the same shape, from 0 to 1.
    """
    return rows.astype(jnp.float32) / white
