"""What the loss and the bounds ask of a model whose latents lie in layers.

Layer 0 is next to the image. Every layer has a cost that involves it and the layer
below alone, so that the sum of the costs from a layer on is its local learning signal.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.experiments.layered.latents import (
    Distribution,
    distribution,
    num_logits,
)
from jaxdiscrete.experiments.layered.settings import LayeredSettings
from jaxdiscrete.experiments.networks import MLP, Params, apply


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
class Layered(abc.ABC):
    """What the models with layers of latents share.

    Args:
      settings: layers, networks, prior.
      pixel_mean: mean of the training images, one entry per pixel.
    """

    settings: LayeredSettings
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
    def widths(self) -> list[int]:
        """Logits of every layer, that next to the image first."""
        return [num_logits(self.settings, i) for i in range(self.depth)]

    @abc.abstractmethod
    def inputs(self, layer: int, below: jax.Array, x: jax.Array) -> jax.Array:
        """What a layer is inferred from, centred.

        Args:
          layer: counted from the image.
          below: sample of the layer below; not used by layer 0.
          x: one image.

        Returns:
          A vector.
        """

    def posterior(
        self, params: Params, layer: int, below: jax.Array, x: jax.Array
    ) -> Distribution:
        """The variables of a layer, given the layer below.

        Args:
          params: of the model.
          layer: counted from the image.
          below: sample of the layer below; not used by layer 0.
          x: one image.

        Returns:
          The variables of the layer.
        """
        logits = apply(
            self.network(self.widths[layer]),
            params["encoder"][f"layer_{layer}"],
            self.inputs(layer, below, x),
        )
        return distribution(self.settings, layer, logits)

    def network(self, features: int) -> MLP:
        """What stands between two stochastic layers.

        Args:
          features: its outputs.

        Returns:
          The flax module.
        """
        s = self.settings
        return MLP(s.hidden, features, s.activation, s.leak, s.init)

    def hardened(self) -> Layered:
        """The same network for hard samples, whose bound is one on the likelihood.

        Returns:
          A copy with the same parameters, which samples its divergence.
        """
        return self

    def pixel_bias(self, mean: np.ndarray) -> jax.Array:
        """The output bias that explains pixel means.

        Args:
          mean: of the pixels that are read out.

        Returns:
          Their logits, clipped.
        """
        # Pixels that are never on would have a bias of minus infinity.
        clip = self.settings.mean_clip
        p = jnp.clip(jnp.asarray(mean, jnp.float32), clip, 1.0 - clip)
        return jnp.log(p) - jnp.log1p(-p)
