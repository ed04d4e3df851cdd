"""What the tasks on a data set share: its checks, and the order of its examples."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.data.dataset import Dataset
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, log_variances
from jaxdiscrete.experiments.training.task import Metrics


@dataclasses.dataclass(frozen=True, eq=False)
class DatasetTask:
    """The images of a task, in an order of its own for every epoch.

    Args:
      config: a checked configuration.
      dataset: the data.
      placement: on which devices. Default: one.

    Raises:
      UsageError: if a batch is larger than the training set or does not split over
        the devices.
    """

    config: Config
    dataset: Dataset
    placement: Placement = ONE_DEVICE

    def __post_init__(self) -> None:
        batch, available = self.config.training.batch_size, len(self.dataset.train)
        if batch > available:
            raise UsageError(
                f"Expected training.batch_size <= {available}, the size of the "
                f"training set, got {batch}. Lower it."
            )
        if batch % self.placement.num_devices:
            raise UsageError(
                "Expected training.batch_size to be a multiple of the "
                f"{self.placement.num_devices} devices of the mesh, got {batch}. "
                "Change one of them."
            )

    @property
    def title(self) -> str:
        """The data set."""
        return self.dataset.title

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self.dataset.image_shape

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the training set."""
        return len(self.dataset.train) // self.config.training.batch_size

    def batches(self, first_step: jax.Array, num_steps: int, data: Any) -> jax.Array:
        """The rows of every step of a block; each epoch has an order of its own.

        Args:
          first_step: of the block.
          num_steps: of the block. Static.
          data: with the training set in its field ``train``.

        Returns:
          Indices ``[steps, batch]``.
        """
        per_epoch, batch = self.steps_per_epoch, self.config.training.batch_size
        first_epoch = first_step // per_epoch
        num_epochs = (num_steps + per_epoch - 2) // per_epoch + 1
        orders_key = stream(self.config.seed, Stream.ORDER)

        def order(epoch: jax.Array) -> jax.Array:
            key = jax.random.fold_in(orders_key, epoch)
            return jax.random.permutation(key, len(data.train))[: per_epoch * batch]

        orders = jax.lax.map(order, first_epoch + jnp.arange(num_epochs))
        rows = orders.reshape(num_epochs * per_epoch, batch)
        return jax.lax.dynamic_slice_in_dim(rows, first_step % per_epoch, num_steps)

    def log_variances(self, state: TrainState) -> Metrics:
        """The gradient's variance, from the moving averages of the run.

        Args:
          state: after at least one step.

        Returns:
          Scalars, of all parameters and of the encoder.
        """
        return log_variances(state.moments, state.step)
