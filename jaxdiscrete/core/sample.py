"""The type by which an estimator is told its sample."""

from __future__ import annotations

import dataclasses

import jax

from jaxdiscrete.core.typing import PyTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GivenSample:
    """A hard sample, in place of a key; ``key`` draws what else is needed."""

    z: PyTree
    key: jax.Array


def key_of(key: jax.Array | GivenSample) -> jax.Array:
    """The key for what is drawn beside the sample."""
    return key.key if isinstance(key, GivenSample) else key
