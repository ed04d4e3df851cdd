"""Scores of hard masks, on images that had no part in training."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn import metrics as scores

from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.tasks.attention.network import AttentionNetwork
from jaxdiscrete.experiments.training.task import Metrics

#: Images that are alive at once.
CHUNK = 500


class Seen(NamedTuple):
    """Scores of one hard mask per image; one entry per image."""

    objective: jax.Array
    """The predictor's log-probability of the label less the penalty, in nats."""
    share: jax.Array
    """The mean probability that a part is shown."""
    is_right: jax.Array
    """1. where the predictor names the label."""


def look(
    network: AttentionNetwork,
    params: Params,
    predictor: Params,
    key: jax.Array,
    x: jax.Array,
    labels: jax.Array,
) -> Seen:
    """Masks of images, through the eyes of the predictor.

    Args:
      network: which chooses.
      params: its parameters.
      predictor: frozen weights.
      key: PRNG key.
      x: images ``[images, pixels]``.
      labels: their classes.

    Returns:
      One entry per image.
    """

    def one(key: jax.Array, x: jax.Array, label: jax.Array) -> Seen:
        q = network.choose(params, x)
        shown = x * network.spread(q.sample(key))
        share = q.mean().mean()
        log_p = network.log_prob(predictor, shown, label)
        is_right = jnp.argmax(network.classify(predictor, shown)) == label
        objective = log_p - network.settings.penalty * share
        return Seen(objective, share, is_right.astype(jnp.float32))

    keys = jax.random.split(key, len(x))
    args = (keys, x, labels)
    return jax.lax.map(lambda a: one(*a), args, batch_size=CHUNK)


class Tested(NamedTuple):
    """Scores of test images under masks."""

    objective: jax.Array
    """By image, the mean over masks."""
    share: jax.Array
    """By image."""
    probabilities: jax.Array
    """The evaluator's, ``[images, labels]``, under one mask each."""
    is_right_unmasked: jax.Array
    """True where the predictor names the label of the whole image."""


def evaluate(
    network: AttentionNetwork,
    params: Params,
    predictor: Params,
    evaluator: Params,
    key: jax.Array,
    x: jax.Array,
    labels: jax.Array,
    num_samples: int,
) -> Tested:
    """Masks of test images, through the eyes of both classifiers.

    Args:
      network: which chooses.
      params: its parameters.
      predictor: frozen weights.
      evaluator: frozen weights.
      key: PRNG key.
      x: images ``[images, pixels]``.
      labels: their classes.
      num_samples: masks per image. Static.

    Returns:
      For :func:`summarise`.
    """
    key_masks, key_evaluator = jax.random.split(key)

    def once(key: jax.Array) -> Seen:
        return look(network, params, predictor, key, x, labels)

    seen = jax.lax.map(once, jax.random.split(key_masks, num_samples))

    def score(args: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        key, x, label = args
        z = network.choose(params, x).sample(key)
        log_p = network.classify(evaluator, x * network.spread(z))
        is_right = jnp.argmax(network.classify(predictor, x)) == label
        return jnp.exp(log_p), is_right

    keys = jax.random.split(key_evaluator, len(x))
    args = (keys, x, labels)
    probabilities, is_right = jax.lax.map(score, args, batch_size=CHUNK)
    return Tested(seen.objective.mean(0), seen.share.mean(0), probabilities, is_right)


def summarise(tested: Tested, labels: np.ndarray) -> Metrics:
    """The metrics of the results.

    Args:
      tested: as from :func:`evaluate`.
      labels: of the same images.

    Returns:
      Objective, share, and the evaluator's scores, which are micro averages.
    """
    objective, share, probabilities, unmasked = map(np.asarray, tested)
    is_right = probabilities.argmax(axis=1) == labels
    one_hot = np.eye(probabilities.shape[1])[labels].ravel()
    flat = probabilities.ravel()
    return {
        "test_objective": objective.mean(),
        "test_objective_se": _error(objective),
        "test_share": share.mean(),
        "test_accuracy": is_right.mean(),
        "test_accuracy_se": _error(is_right),
        "test_auroc": scores.roc_auc_score(one_hot, flat),
        "test_auprc": scores.average_precision_score(one_hot, flat),
        "unmasked_accuracy": unmasked.mean(),
    }


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
