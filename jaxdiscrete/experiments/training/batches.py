"""Batches of a training set: their size, and an order for every epoch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.placement import Placement


def check_batch_size(batch: int, num_examples: int, placement: Placement) -> None:
    """Raises where a batch is no part of the training set, or of the devices.

    Args:
      batch: rows per step.
      num_examples: of the training set.
      placement: on which devices.

    Raises:
      UsageError: if a batch is larger than the training set or does not split over
        the devices.
    """
    if batch > num_examples:
        raise UsageError(
            f"Expected training.batch_size <= {num_examples}, the size of the "
            f"training set, got {batch}. Lower it."
        )
    if batch % placement.num_devices:
        raise UsageError(
            "Expected training.batch_size to be a multiple of the "
            f"{placement.num_devices} devices of the mesh, got {batch}. "
            "Change one of them."
        )


def epoch_rows(
    seed: Any, first_step: jax.Array, num_steps: int, num_examples: int, batch: int
) -> jax.Array:
    """The rows of every step of a block; each epoch has an order of its own.

    Args:
      seed: of the run.
      first_step: of the block.
      num_steps: of the block. Static.
      num_examples: of the training set, at least ``batch``. Static.
      batch: rows per step; what does not fill a batch waits for another epoch. Static.

    Returns:
      Indices ``[steps, batch]``.
    """
    per_epoch = num_examples // batch
    first_epoch = first_step // per_epoch
    num_epochs = (num_steps + per_epoch - 2) // per_epoch + 1
    orders_key = stream(seed, Stream.ORDER)

    def order(epoch: jax.Array) -> jax.Array:
        key = jax.random.fold_in(orders_key, epoch)
        return jax.random.permutation(key, num_examples)[: per_epoch * batch]

    orders = jax.lax.map(order, first_epoch + jnp.arange(num_epochs))
    rows = orders.reshape(num_epochs * per_epoch, batch)
    return jax.lax.dynamic_slice_in_dim(rows, first_step % per_epoch, num_steps)
