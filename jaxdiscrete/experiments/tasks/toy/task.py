"""The problem of one Bernoulli variable, whose loss and gradient are known."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.tasks.toy.settings import Settings
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.one_layer import OneLayer
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, gradient_log_variance
from jaxdiscrete.experiments.training.task import Metrics, Params
from jaxdiscrete.experiments.training.without_data import TaskWithoutData


@dataclasses.dataclass(frozen=True, eq=False)
class ToyTask(OneLayer, TaskWithoutData):
    """The problem of :class:`Settings`; a batch is that many samples."""

    title = "one Bernoulli variable"

    @property
    def settings(self) -> Settings:
        """The settings of the problem."""
        return cast(Settings, self.config.model)

    def init(self, key: jax.Array) -> Params:
        """The log-odds; any key will do."""
        del key
        return {"logit": jnp.asarray(self.settings.logit, jnp.float32)}

    @property
    def latents(self) -> LatentSpec:
        """A bit, of which a baseline sees nothing."""
        return LatentSpec(jnp.zeros(()), (), jnp.zeros(0))

    def batch(self, key: jax.Array, chosen: jax.Array, data: Any) -> jax.Array:
        """Samples without inputs, ``[batch, 0]``."""
        del key, chosen
        return jnp.zeros((self.config.training.batch_size, 0))

    def loss(
        self, params: Params, key: jax.Array, batch: jax.Array, step: jax.Array
    ) -> jax.Array:
        """The mean objective of the batch's samples, with the estimated gradient."""
        control_variate = params["control_variate"]["layer_0"]

        def objective(z: jax.Array, inputs: jax.Array) -> jax.Array:
            del inputs
            return jnp.square(z - self.settings.target)

        estimate = self.config.estimator.build(objective, control_variate, step)
        q = jd.Bernoulli(params["model"]["logit"])
        keys = jax.random.split(key, len(batch))
        return jax.vmap(estimate, (0, None, 0))(keys, q, batch).mean()

    def log_variances(self, state: TrainState) -> Metrics:
        """The gradient's variance, over fresh samples.

        Args:
          state: after at least one step.

        Returns:
          ``log_variance``, its natural logarithm.
        """
        key = jax.random.fold_in(
            stream(self.config.seed, Stream.EVALUATION), state.step
        )
        # That of the last step, whose value the schedules have.
        step = state.step - 1

        def gradient(key: jax.Array) -> Any:
            batch = self.batch(key, jnp.zeros(0), None)
            return jax.grad(self.loss)(state.params, key, batch, step)["model"]

        keys = jax.random.split(key, self.settings.num_gradients)
        return {"log_variance": gradient_log_variance(jax.vmap(gradient)(keys))}

    def metrics(self, state: TrainState, losses: jax.Array, data: Any) -> Metrics:
        """The probability of a one, its exact loss, and the gradient's variance there.

        Args:
          state: at the end of a block.
          losses: not used.
          data: not used.

        Returns:
          ``theta``, ``loss`` and ``log_variance``.
        """
        del losses, data
        theta = jax.nn.sigmoid(state.params["model"]["logit"])
        target = self.settings.target
        loss = theta * (1.0 - target) ** 2 + (1.0 - theta) * target**2
        return {"theta": theta, "loss": loss} | self.log_variances(state)

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The metrics, averaged over the last tenth of the blocks.

        A gradient of one sample is noisy, and so is where it ends.

        Args:
          state: not used.
          rows: metrics of all blocks.

        Returns:
          ``theta``, ``loss`` and ``log_variance``.
        """
        del state
        tail = rows[-max(1, len(rows) // 10) :]
        return {
            name: math.fsum(row[name] for row in tail) / len(tail)
            for name in ("theta", "loss", "log_variance")
        }


def make(config: Config, placement: Placement) -> ToyTask:
    """The task, which has no data.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.
    """
    return ToyTask(config, placement)
