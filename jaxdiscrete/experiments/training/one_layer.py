"""What the tasks with one layer of decisions share: the parameters they begin with."""

from __future__ import annotations

from typing import Any

import jax

from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.task import Params


class OneLayer:
    """A task whose decisions are all drawn by the same estimator."""

    config: Config
    #: ``network.init(key)`` makes the parameters, where a task has no other way.
    network: Any

    @property
    def latents(self) -> LatentSpec:
        """The shapes of a decision, and of what a baseline sees of it."""
        raise NotImplementedError

    def init(self, key: jax.Array) -> Params:
        """Initial parameters of the model.

        Args:
          key: PRNG key.

        Returns:
          The parameters.
        """
        return self.network.init(key)

    def init_control_variates(self, params: Params, key: jax.Array) -> Params:
        """Initial parameters of the estimator.

        Args:
          params: not used.
          key: PRNG key.

        Returns:
          ``{"layer_0": {...}}``.
        """
        del params
        return {"layer_0": self.config.estimator.init(key, self.latents)}
