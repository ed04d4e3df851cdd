"""What the tasks on a data set share: its checks, and the order of its examples."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from jaxdiscrete.experiments.data.dataset import Dataset
from jaxdiscrete.experiments.data.load import load_dataset
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.training.batches import check_batch_size, epoch_rows
from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, log_variances
from jaxdiscrete.experiments.training.task import Metrics


def load_labelled(config: Config) -> Dataset:
    """The configured data set, which must have labels.

    Args:
      config: a checked configuration.

    Returns:
      The data set.

    Raises:
      UsageError: if it cannot be used, or has none.
    """
    dataset = load_dataset(config.data)
    if dataset.train_labels is None:
        raise UsageError(
            f"Expected a data set with labels for model.task = {config.model.task!r}, "
            f"got {dataset.title}. Set data.name to digits, mnist or fashion_mnist."
        )
    return dataset


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
        batch = self.config.training.batch_size
        check_batch_size(batch, len(self.dataset.train), self.placement)

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
        batch = self.config.training.batch_size
        return epoch_rows(
            self.config.seed, first_step, num_steps, len(data.train), batch
        )

    def texts(self, state: TrainState) -> dict[str, list[str]]:
        """There are none."""
        del state
        return {}

    def log_variances(self, state: TrainState) -> Metrics:
        """The gradient's variance, from the moving averages of the run.

        Args:
          state: after at least one step.

        Returns:
          Scalars, of all parameters and of the encoder.
        """
        return log_variances(state.moments, state.step)
