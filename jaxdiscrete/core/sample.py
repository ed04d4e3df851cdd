"""The type by which an estimator is told its sample."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from jaxdiscrete.core.typing import PyTree

#: What to do in place of giving a sample to an estimator that draws its own.
SEVERAL_SAMPLES = (
    "It draws several samples. In a sequence ask for num_samples=K rollouts, whose "
    "credit is centred by that of the others."
)
RELAXED_SAMPLES = (
    "It differentiates f through its sample. In a sequence relax the samples in a "
    "plain jax.lax.scan, and differentiate that."
)
ALL_STATES = "It sums over all states, and needs no sample."


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GivenSample:
    """A hard sample, in place of a key; ``key`` draws what else is needed."""

    z: PyTree
    key: jax.Array


def given_sample(z: PyTree, key: jax.Array) -> Any:
    """A given sample in place of a key, as the type of which estimators take it.

    Args:
      z: a hard sample of q.
      key: PRNG key for what is drawn beside it.
    """
    return GivenSample(z, key)


def key_of(key: jax.Array | GivenSample) -> jax.Array:
    """The key for what is drawn beside the sample.

    Args:
      key: a key, or a given sample.
    """
    return key.key if isinstance(key, GivenSample) else key


def check_not_given(name: str, key: jax.Array | GivenSample, remedy: str) -> None:
    """Raises where a sample is given to an estimator that draws its own.

    Args:
      name: of the estimator, for the message.
      key: a key, or a given sample.
      remedy: a sentence that says what to do.

    Raises:
      TypeError: if a sample is given.
    """
    if isinstance(key, GivenSample):
        raise TypeError(
            "Expected an estimator of one hard sample, since z is given, got "
            f"jaxdiscrete.{name}. {remedy}"
        )
