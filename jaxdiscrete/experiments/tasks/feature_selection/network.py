"""The network that chooses features, and the one that sees them."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.networks import MLP, Params, apply
from jaxdiscrete.experiments.tasks.feature_selection.settings import (
    NUM_FEATURES,
    Settings,
)


@dataclasses.dataclass(frozen=True, eq=False)
class SelectionNetwork:
    """Both networks of one row.

    Args:
      settings: of the task.
    """

    settings: Settings

    def init(self, key: jax.Array) -> Params:
        """Initial parameters.

        Args:
          key: PRNG key.

        Returns:
          ``{"encoder", "decoder"}``: what chooses, and what sees.
        """
        key_encoder, key_decoder = jax.random.split(key)
        x = jnp.zeros(NUM_FEATURES)
        return {
            "encoder": self._encoder.init(key_encoder, x)["params"],
            "decoder": self._decoder.init(key_decoder, x)["params"],
        }

    def choose(self, params: Params, x: jax.Array) -> jd.Subset:
        """q(z | x), k of the features.

        Args:
          params: as from :meth:`init`.
          x: one row.

        Returns:
          The distribution of the subset.
        """
        logits = apply(self._encoder, params["encoder"], x)
        return jd.Subset(logits, self.settings.num_chosen)

    def predict(self, params: Params, x: jax.Array, z: jax.Array) -> jax.Array:
        """Log-odds of the label.

        Args:
          params: as from :meth:`init`.
          x: one row.
          z: which features are seen, or how much of each.

        Returns:
          A scalar.
        """
        first, second = apply(self._decoder, params["decoder"], x * z)
        return first - second

    def penalty(self, params: Params) -> jax.Array:
        """The sum of squared weights, without the output of what chooses.

        Args:
          params: as from :meth:`init`.

        Returns:
          A scalar.
        """
        encoder = {k: v for k, v in params["encoder"].items() if k != "output"}
        layers = [*encoder.values(), *params["decoder"].values()]
        squares = [jnp.sum(layer["kernel"] ** 2) for layer in layers]
        return jnp.sum(jnp.stack(squares))

    @property
    def _encoder(self) -> MLP:
        return self._mlp(self.settings.hidden, NUM_FEATURES)

    @property
    def _decoder(self) -> MLP:
        return self._mlp(self.settings.predictor_hidden, 2)

    def _mlp(self, hidden: tuple[int, ...], features: int) -> MLP:
        activation = self.settings.activation
        return MLP(hidden, features, activation, init_name="glorot_uniform")
