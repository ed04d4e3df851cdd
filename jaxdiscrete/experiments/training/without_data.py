"""What the tasks without a data set share: nothing to read, nothing to choose from."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState


@dataclasses.dataclass(frozen=True, eq=False)
class TaskWithoutData:
    """A problem that makes its own examples, new ones at every step.

    Args:
      config: a checked configuration.
      placement: on which devices. Default: one.
    """

    config: Config
    placement: Placement = ONE_DEVICE

    #: An epoch is a step.
    steps_per_epoch = 1

    @property
    def image_shape(self) -> tuple[int, int]:
        """There are no images."""
        return 0, 0

    def data(self) -> Any:
        """There is none."""
        return ()

    def batches(self, first_step: jax.Array, num_steps: int, data: Any) -> jax.Array:
        """Nothing to choose from: one row per step."""
        del first_step, data
        return jnp.zeros((num_steps, 0))

    def texts(self, state: TrainState) -> dict[str, list[str]]:
        """There is nothing to read."""
        del state
        return {}

    def pictures(self, state: TrainState) -> dict[str, Any]:
        """There is nothing to show."""
        del state
        return {}
