"""What the tasks on binary images share: data, batches, and bounds as metrics."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data.dataset import shuffled_subset
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.training.dataset import DatasetTask
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.state import (
    TrainState,
    check_finite,
)
from jaxdiscrete.experiments.training.task import Metrics

#: Columns and rows of a picture.
NUM_IMAGES = 10
NUM_ROWS = 4


class Images(NamedTuple):
    """What training and evaluation after a block read, on the device."""

    train: jax.Array
    train_subset: jax.Array
    valid_subset: jax.Array


class Bounds(NamedTuple):
    """One entry per image, in nats."""

    elbo: jax.Array
    bound: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class ImageTask(DatasetTask):
    """The data of a task on binary images, and its evaluation by bounds.

    Raises:
      UsageError: as :class:`DatasetTask`, also if pixels stay grey.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.config.data.binarization == "none":
            raise UsageError(
                "Expected data.binarization that makes pixels binary for model.task = "
                f"{self.config.model.task!r}, got 'none'. Choose 'dynamic' or "
                "'threshold'."
            )

    @functools.cached_property
    def pixel_mean(self) -> np.ndarray:
        """The mean of the training images, one entry per pixel."""
        mean = self.dataset.train.mean(axis=0, dtype=np.float64)
        mean /= 255.0 if self.dataset.is_grey else 1.0
        return mean.astype(np.float32)

    def data(self) -> Images:
        """The training set and the subsets for evaluation, as uint8."""
        count = self.config.evaluation.num_examples
        train, valid = self.dataset.train, self.dataset.valid
        parts = (train, shuffled_subset(train, count), shuffled_subset(valid, count))
        return Images(*self.placement.replicate(parts))

    def batch(self, key: jax.Array, chosen: jax.Array, data: Images) -> jax.Array:
        """Binary images of some rows.

        Args:
          key: PRNG key for grey images.
          chosen: rows of the training set.
          data: as from :meth:`data`.

        Returns:
          float32 ``[batch, pixels]``.
        """
        return self.pixels(key, data.train[chosen])

    def pixels(self, key: jax.Array, rows: jax.Array) -> jax.Array:
        """Binary images from stored ones.

        Args:
          key: PRNG key for grey images, which are binarised at random.
          rows: uint8 ``[batch, pixels]``.

        Returns:
          float32 of the same shape.
        """
        if not self.dataset.is_grey:
            return rows.astype(jnp.float32)
        # In integers: noise / 2^16 < intensity / 255, with half the random bits of a
        # float32 uniform, always one at 255 and never at 0.
        noise = jax.random.bits(key, rows.shape, jnp.uint16).astype(jnp.uint32)
        is_on = noise * 255 < rows.astype(jnp.uint32) << 16
        return is_on.astype(jnp.float32)

    def metrics(self, state: TrainState, losses: jax.Array, data: Images) -> Metrics:
        """Bounds of one sample on the subsets, and the gradient variance.

        Args:
          state: at the end of a block.
          losses: not used: bounds of other samples are not what was just minimised.
          data: as from :meth:`data`.

        Returns:
          Scalars.
        """
        del losses
        key = jax.random.fold_in(
            stream(self.config.seed, Stream.EVALUATION), state.step
        )
        key_train, key_valid = jax.random.split(key)
        bounds = {
            "train_elbo": self.bounds(state, key_train, data.train_subset, 1).elbo,
            "valid_elbo": self.bounds(state, key_valid, data.valid_subset, 1).elbo,
        }
        means = {name: values.mean() for name, values in bounds.items()}
        return means | self.log_variances(state)

    def bounds(
        self, state: TrainState, key: jax.Array, rows: jax.Array, num_samples: int
    ) -> Bounds:
        """Bounds on the log-likelihood of stored images, with hard samples.

        Args:
          state: of the run.
          key: PRNG key.
          rows: uint8 ``[images, pixels]``.
          num_samples: samples per image. Static.

        Returns:
          One entry per image, in nats.
        """
        raise NotImplementedError

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The metrics of the results, averaged over many samples.

        Args:
          state: after training.
          rows: of its metrics, one per block.

        Returns:
          Bounds with standard errors over examples, the last and the best mean of the
          objective over an epoch, and log variances.

        Raises:
          RunError: if one of them is not finite.
        """
        settings, dataset = self.config.evaluation, self.dataset
        parts = {
            "train": shuffled_subset(dataset.train, settings.num_final_examples),
            "valid": shuffled_subset(dataset.valid, settings.num_final_examples),
            "test": shuffled_subset(dataset.test, settings.num_test_examples),
        }
        final = jax.jit(self.final_bounds)(state, parts)
        final |= jax.jit(self.log_variances)(state)
        check_finite(int(state.step), final, "Start again with a lower learning rate.")
        of_epochs = epoch_objectives(rows, self.steps_per_epoch)
        return of_epochs | {key: float(value) for key, value in final.items()}

    def final_bounds(self, state: TrainState, parts: dict[str, Any]) -> Metrics:
        """Mean bounds of parts of the data.

        Args:
          state: after training.
          parts: stored images by name.

        Returns:
          Bounds with standard errors over examples.
        """
        metrics = {}
        keys = jax.random.split(stream(self.config.seed, Stream.FINAL), len(parts))
        for key, (name, rows) in zip(keys, parts.items(), strict=True):
            num_samples = self.config.evaluation.num_samples
            bounds = self.bounds(state, key, rows, num_samples)
            for bound, values in bounds._asdict().items():
                metrics[f"{name}_{bound}"] = values.mean()
                error = values.std(ddof=1) / np.sqrt(len(values))
                metrics[f"{name}_{bound}_se"] = error
        return metrics


def epoch_objectives(
    rows: list[dict[str, Any]], steps_per_epoch: int
) -> dict[str, float]:
    """What was maximised, averaged over the steps of an epoch while it was trained on.

    With one hard sample it is an estimate of the training bound from all images, as
    papers print it; those of a relaxation or of several samples are what they optimise.

    Args:
      rows: metrics with the mean ``loss`` of a block, in order.
      steps_per_epoch: that the mean is over, rounded up to whole blocks.

    Returns:
      That of the last epoch, and the best of any; of a run shorter than an epoch, the
      mean of all of it.
    """
    losses = np.array([row["loss"] for row in rows])
    steps_per_block = rows[-1]["step"] / len(rows)
    width = min(len(rows), math.ceil(steps_per_epoch / steps_per_block))
    means = -np.convolve(losses, np.ones(width) / width, mode="valid")
    return {
        "epoch_objective": float(means[-1]),
        "best_epoch_objective": float(means.max()),
    }


def one_per_class(labels: np.ndarray, most: int) -> np.ndarray:
    """The first image of every class.

    Args:
      labels: of the images.
      most: classes that are shown.

    Returns:
      Rows, in the order of the classes.
    """
    classes, first = np.unique(labels, return_index=True)
    return first[: min(most, len(classes))]
