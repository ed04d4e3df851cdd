"""L2X's made-up problems: rows of normal features, and a label that a few decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.tasks.feature_selection.settings import NUM_FEATURES

#: Where the last feature of the switch lies, on one side or the other.
_SHIFT = 3.0


class Rows(NamedTuple):
    """Examples; one row each."""

    x: jax.Array
    """``[rows, features]``."""
    logit: jax.Array
    """Log-odds of the first of two classes."""
    matters: jax.Array
    """True where the label depends on a feature, ``[rows, features]``."""


def draw(problem: str, key: jax.Array, num_rows: int) -> Rows:
    """New rows of a problem.

    Args:
      problem: ``"xor"``, ``"orange_skin"``, ``"additive"`` or ``"switch"``.
      key: PRNG key.
      num_rows: how many. Static.

    Returns:
      The rows.
    """
    key_x, key_side = jax.random.split(key)
    x = jax.random.normal(key_x, (num_rows, NUM_FEATURES))
    if problem != "switch":
        log_odds, num_relevant = _PROBLEMS[problem]
        matters = jnp.arange(NUM_FEATURES) < num_relevant
        return Rows(x, log_odds(x), jnp.broadcast_to(matters, x.shape))
    is_first = jax.random.bernoulli(key_side, 0.5, (num_rows,))
    x = x.at[:, -1].add(jnp.where(is_first, _SHIFT, -_SHIFT))
    logit = jnp.where(is_first, _orange_skin(x[:, :4]), _additive(x[:, 4:8]))
    feature = jnp.arange(NUM_FEATURES)[None]
    matters = jnp.where(is_first[:, None], feature < 4, (feature >= 4) & (feature < 8))
    return Rows(x, logit, matters | (feature == NUM_FEATURES - 1))


def entropy(logit: jax.Array) -> jax.Array:
    """The entropy of labels in nats: the least cross-entropy that there is.

    Args:
      logit: log-odds of one class.

    Returns:
      Array of the same shape.
    """
    return cross_entropy(logit, logit)


def cross_entropy(logit: jax.Array, predicted: jax.Array) -> jax.Array:
    """The cross-entropy of labels that are probabilities, in nats.

    Args:
      logit: log-odds of the label.
      predicted: log-odds that are predicted.

    Returns:
      Array of the same shape.
    """
    p = jax.nn.sigmoid(logit)
    return -(
        p * jax.nn.log_sigmoid(predicted) + (1.0 - p) * jax.nn.log_sigmoid(-predicted)
    )


def _xor(x: jax.Array) -> jax.Array:
    return x[:, 0] * x[:, 1]


def _orange_skin(x: jax.Array) -> jax.Array:
    return jnp.sum(x[:, :4] ** 2, axis=1) - 4.0


def _additive(x: jax.Array) -> jax.Array:
    steep = -100.0 * jnp.sin(0.2 * x[:, 0])
    return steep + jnp.abs(x[:, 1]) + x[:, 2] + jnp.exp(-x[:, 3]) - 2.4


#: Log-odds, and how many of the first features they depend on.
_PROBLEMS: dict[str, tuple[Callable[[jax.Array], jax.Array], int]] = {
    "xor": (_xor, 2),
    "orange_skin": (_orange_skin, 4),
    "additive": (_additive, 4),
}
