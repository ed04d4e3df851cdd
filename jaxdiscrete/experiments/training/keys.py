"""Independent streams of randomness of one seed."""

from __future__ import annotations

import enum

import jax
from jax.typing import ArrayLike


class Stream(enum.IntEnum):
    """What a stream is for.

    A stream's number decides its numbers for ever: new streams get new ones, and
    those of streams that are gone are not given again.
    """

    #: Initial parameters; folded with their place, those of a trajectory's followers.
    INIT = 0
    #: The order of the examples, folded with the epoch.
    ORDER = 1
    #: Binary pixels of a step, folded with the step.
    PIXELS = 2
    #: The estimator, folded with the step; on a trajectory folded again with the
    #: place of a follower.
    STEP = 3
    #: Metrics at the end of a block, folded with the step.
    EVALUATION = 4
    #: The final bounds.
    FINAL = 5
    #: Pictures, and the binary pixels on which test accuracy is counted.
    FIGURES = 6
    #: The gradients of the meter.
    METER = 7
    #: The images of the meter.
    METER_PIXELS = 8
    #: Untrained control variates that the meter compares with.
    METER_INIT = 9
    #: Gradients whose variance a block ends with, beside metrics; folded with the step.
    VARIANCE = 10


def stream(seed: ArrayLike, which: Stream) -> jax.Array:
    """The key of a stream.

    Args:
      seed: of the run.
      which: the stream.

    Returns:
      A PRNG key.
    """
    return jax.random.fold_in(jax.random.key(seed), int(which))
