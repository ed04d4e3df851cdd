"""The latents of a layer as hard, soft or Concrete variables of one interface.

With the Concrete divergence a relaxed sample stays before its squashing, in log
space: its densities are finite there, and their Jacobian cancels between posterior
and prior.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxdiscrete as jd
from jaxdiscrete.experiments.layered.settings import LayeredSettings

Distribution = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class UnsquashedBernoulli(jd.Bernoulli):
    """Bernoulli variables whose relaxed samples are logits."""

    def relax(self, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
        """The relaxed sample before the sigmoid."""
        return self.temper(zeta, temperature).astype(self.dtype)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class UnsquashedCategorical(jd.OneHotCategorical):
    """Categorical variables whose relaxed samples are log-probabilities."""

    def relax(self, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
        """The logarithm of the relaxed sample."""
        return self.temper(zeta, temperature).astype(self.dtype)


def num_logits(settings: LayeredSettings, layer: int) -> int:
    """Logits of a layer: one per binary variable, else one per class.

    Args:
      settings: of the model.
      layer: counted from the image.

    Returns:
      How many outputs its network needs.
    """
    per_latent = 1 if settings.num_classes == 2 else settings.num_classes
    return settings.num_latents[layer] * per_latent


def distribution(
    settings: LayeredSettings, layer: int, logits: jax.Array
) -> Distribution:
    """The variables of a layer.

    Args:
      settings: of the model.
      layer: counted from the image.
      logits: ``[num_logits]``.

    Returns:
      A distribution over ``num_latents[layer]`` variables.
    """
    is_concrete = settings.divergence == "concrete"
    if settings.num_classes == 2:
        return UnsquashedBernoulli(logits) if is_concrete else jd.Bernoulli(logits)
    logits = logits.reshape(settings.num_latents[layer], settings.num_classes)
    if is_concrete:
        return UnsquashedCategorical(logits)
    return jd.OneHotCategorical(logits)


def features(settings: LayeredSettings, z: jax.Array) -> jax.Array:
    """Latents as the input of a network, in [-1, 1].

    Args:
      settings: of the model.
      z: sample of a layer, unsquashed if the divergence is the Concrete one.

    Returns:
      ``[num_logits]``.
    """
    if settings.divergence == "concrete":
        z = jax.nn.sigmoid(z) if settings.num_classes == 2 else jax.nn.softmax(z)
    return 2.0 * jnp.ravel(z) - 1.0


def log_density(
    settings: LayeredSettings, d: Distribution, z: jax.Array, temperature: ArrayLike
) -> jax.Array:
    """Log-probability of hard and soft samples, log-density of Concrete ones.

    Args:
      settings: of the model.
      d: the variables of a layer.
      z: their sample.
      temperature: of the density, for the Concrete divergence.

    Returns:
      A scalar, in nats.
    """
    if settings.divergence == "concrete":
        return jnp.sum(d.relaxed_log_prob(z, temperature))
    return jnp.sum(d.log_prob(z))
