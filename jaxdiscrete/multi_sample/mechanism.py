"""Several independent samples of one q, each with a signal made from all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import (
    check_count,
    check_latents,
    check_objective,
)
from jaxdiscrete.core.latents import draw, freeze, log_prob
from jaxdiscrete.core.rules import attach, value_stays_live
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.score_function.mechanism import (
    as_signal,
    evaluate,
    freeze_like_sample,
)

#: ``statistic(q, z) -> scalar``, of the frozen q and one sample.
Statistic = Callable[[PyTree, PyTree], jax.Array]
#: ``combine(values, statistics, args) -> (value, signals)``: from the values of f at
#: all samples the value of the estimate and the weight of each score.
Combine = Callable[[jax.Array, Any, tuple[Any, ...]], tuple[jax.Array, jax.Array]]


def sample_keys(
    key: jax.Array, num_samples: int, sharding: jax.sharding.Sharding | None
) -> jax.Array:
    """A key a sample; what is computed from them lies where ``sharding`` says."""
    keys = jax.random.split(key, num_samples)
    if sharding is None:
        return keys
    return jax.lax.with_sharding_constraint(keys, sharding)


def over_samples(
    one: Callable[[jax.Array], Any], keys: jax.Array, chunk_size: int | None
) -> Any:
    """``one(key)`` for every key, all at once or recomputed in chunks.

    Args:
      one: from a key to a pytree of arrays.
      keys: one a sample.
      chunk_size: how many run at a time; None for all.

    Returns:
      The results along a new leading axis.
    """
    if chunk_size is None or chunk_size >= keys.shape[0]:
        return jax.vmap(one)(keys)
    # Without the checkpoint lax.map stores the residuals of every chunk.
    return jax.lax.map(jax.checkpoint(one), keys, batch_size=chunk_size)


def multi_sample(
    name: str,
    f: Objective,
    combine: Combine,
    *,
    num_samples: int,
    chunk_size: int | None,
    sharding: jax.sharding.Sharding | None,
    has_aux: bool,
    at_least: int = 2,
    remedy: str = "With one sample use jaxdiscrete.reinforce or jaxdiscrete.nvil.",
    statistic: Statistic | None = None,
    check: Callable[[PyTree], None] | None = None,
) -> Estimator:
    """Builds an estimator of several independent samples.

    The gradient with respect to q is the sum over samples of signal times score.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective.
      combine: from the values of f, along a leading axis and live, to the value of
        the estimate and the signals, which are stopped here.
      num_samples: how many. Static.
      chunk_size: how many run at a time, None for all. Static.
      sharding: of the sample axis; None leaves it to the compiler.
      has_aux: whether f returns ``(value, aux)``.
      at_least: the least number of samples.
      remedy: what to do with fewer.
      statistic: what combine is told of every sample beside its value.
      check: ``q -> None``, raises before any compute.

    Returns:
      ``estimate(key, q, *args)``.
    """
    check_count(name, "num_samples", num_samples, at_least, remedy)
    if chunk_size is not None:
        check_count(name, "chunk_size", chunk_size, 1, "Ask for one or more.")

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_latents(name, q)
        if check is not None:
            check(q)
        check_objective(f, key, q, args, has_aux)

        def one(k: jax.Array) -> Any:
            z = draw(k, q)
            value, aux = evaluate(f, z, args, has_aux)
            extra = None
            if statistic is not None:
                extra = statistic(freeze_like_sample(q, as_signal(value)), z)
            return value, log_prob(q, z), extra, aux

        keys = sample_keys(key, num_samples, sharding)
        values, log_probs, extra, aux = over_samples(one, keys, chunk_size)
        value, signals = combine(values, extra, args)
        value = attach(value, [log_probs], [freeze(signals)])
        return (value, aux) if has_aux else value

    return estimate


def samples_with_slopes(
    f: Objective,
    key: jax.Array,
    q: PyTree,
    args: tuple[Any, ...],
    num_samples: int,
    has_aux: bool,
) -> tuple[PyTree, jax.Array, PyTree, Any]:
    """Independent samples with the value and the derivative of f at each.

    Args:
      f: the objective, differentiable in z.
      key: PRNG key.
      q: pytree of distributions.
      args: the other arguments of f.
      num_samples: how many.
      has_aux: whether f returns ``(value, aux)``.

    Returns:
      ``(z, values, slopes, aux)``, each with a leading axis of samples. The values are
      live, samples and slopes are stopped.
    """

    def one(k: jax.Array) -> Any:
        z = draw(k, q)
        with value_stays_live():
            (value, aux), slope = jax.value_and_grad(
                lambda x: evaluate(f, x, args, has_aux), has_aux=True
            )(z)
        return z, value, freeze(slope), aux

    return jax.vmap(one)(sample_keys(key, num_samples, None))


def sum_of_others(x: jax.Array) -> jax.Array:
    """For every sample, the sum over the other ones.

    From sums before and after it rather than by subtraction from the total, so that
    what remains is exactly independent of it, however large it is.

    Args:
      x: array whose leading axis is that of the samples.

    Returns:
      Array of the shape of ``x``.
    """
    return _sum_before(x) + _sum_before(x[::-1])[::-1]


def mean_of_others(x: jax.Array) -> jax.Array:
    """For every sample, the mean over the other ones, as :func:`sum_of_others`."""
    return sum_of_others(x) / (x.shape[0] - 1)


def _sum_before(x: jax.Array) -> jax.Array:
    shifted = jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])
    return jnp.cumsum(shifted, axis=0)
