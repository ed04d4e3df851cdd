"""Several coupled samples of one q, and a gradient made from all of them.

Each sample alone has the distribution q, so that their mean value and its pathwise
gradient are unbiased; what the estimators differ in is how the samples depend on one
another, and the weights by which that dependence is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import check_objective
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.rules import attach
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.multi_sample.mechanism import over_samples, sample_keys
from jaxdiscrete.score_function.mechanism import (
    as_signal,
    evaluate,
    freeze_like_sample,
)


def coupled(
    f: Objective,
    *,
    check: Callable[[PyTree], None],
    sample: Callable[[jax.Array, PyTree], tuple[PyTree, Any]],
    gradient: Callable[[PyTree, PyTree, Any, jax.Array], PyTree],
    has_aux: bool,
    reduce: Callable[[jax.Array], jax.Array] = jnp.mean,
) -> Estimator:
    """Builds an estimator from how its samples are drawn and weighted.

    Args:
      f: the objective.
      check: ``q -> None``, raises before any compute.
      sample: ``(key, q) -> (z, noise)``, for the frozen q: coupled samples along a
        leading axis, and whatever else ``gradient`` needs.
      gradient: ``(q, z, noise, signals) -> g``: an array for every leaf of q, in
        tree order or in q's structure. ``signals`` are the stopped values of f, one a
        sample, in at least float32.
      has_aux: whether f returns ``(value, aux)``.
      reduce: from the values of f to the value of the estimate. Default: their mean.

    Returns:
      ``estimate(key, q, *args)``.
    """

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check(q)
        check_objective(f, key, q, args, has_aux)
        frozen_q = freeze(q)
        z, noise = freeze(sample(key, frozen_q))
        values, aux = jax.vmap(lambda x: evaluate(f, x, args, has_aux))(z)
        signals = as_signal(values)
        g = gradient(freeze_like_sample(q, signals[0]), z, noise, signals)
        value = attach(reduce(values), jax.tree.leaves(q), jax.tree.leaves(freeze(g)))
        return (value, aux) if has_aux else value

    return estimate


def mean_of_groups(
    estimate: Estimator,
    num_groups: int,
    chunk_size: int | None,
    sharding: jax.sharding.Sharding | None,
    has_aux: bool,
) -> Estimator:
    """The mean of independent groups of coupled samples.

    Args:
      estimate: of one group.
      num_groups: how many.
      chunk_size: how many groups run at a time; None for all.
      sharding: of the axis of groups; None leaves it to the compiler.
      has_aux: whether the estimate returns ``(scalar, aux)``, with a leading axis of
        samples in aux.

    Returns:
      ``estimate(key, q, *args)``, with one leading axis of all samples in aux.
    """

    def mean_estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        keys = sample_keys(key, num_groups, sharding)
        out = over_samples(lambda k: estimate(k, q, *args), keys, chunk_size)
        if not has_aux:
            return out.mean()
        values, aux = out
        merged = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), aux)
        return values.mean(), merged

    return mean_estimate
