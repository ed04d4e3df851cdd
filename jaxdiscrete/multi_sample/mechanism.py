"""Several independent samples of one q, each with a signal made from all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from jaxdiscrete.core.batches import check_chunk_size, over_batch, sample_keys
from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.latents import draw, freeze, log_prob
from jaxdiscrete.core.needs import SAMPLER, Needs
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.objective import ObjectiveWithAux, as_signal, value_and_slope
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.sample import SEVERAL_SAMPLES
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.core.varying import freeze_varying

#: ``statistic(q, z) -> scalar``, of the frozen q and one sample.
Statistic = Callable[[PyTree, PyTree], jax.Array]
#: ``combine(values, statistics, args) -> (value, signals)``: from the values of f at
#: all samples the value of the estimate and the weight of each score.
Combine = Callable[[jax.Array, Any, tuple[Any, ...]], tuple[jax.Array, jax.Array]]


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
    needs: Needs = SAMPLER,
    check: Callable[[PyTree, PyTree, tuple[Any, ...]], None] | None = None,
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
      needs: what it needs of the distributions in q.
      check: ``(q, shapes of z, args)``, raises before any compute.

    Returns:
      ``estimate(key, q, *args)``.
    """
    check_count(name, "num_samples", num_samples, at_least, remedy)
    check_chunk_size(name, chunk_size)

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        def one(k: jax.Array) -> Any:
            z = draw(k, q)
            value, aux = objective(z, *args)
            extra = None
            if statistic is not None:
                extra = statistic(freeze_varying(q, as_signal(value)), z)
            return value, log_prob(q, z), extra, aux

        keys = sample_keys(key, num_samples, sharding)
        values, log_probs, extra, aux = over_batch(one, keys, chunk_size)
        value, signals = combine(values, extra, args)
        return attach_gradient(value, [log_probs], [freeze(signals)]), aux

    return estimator(
        name,
        f,
        body,
        needs=needs,
        has_aux=has_aux,
        draws_its_own=SEVERAL_SAMPLES,
        check=check,
    )


def samples_with_slopes(
    objective: ObjectiveWithAux,
    key: jax.Array,
    q: PyTree,
    args: tuple[Any, ...],
    *,
    num_samples: int,
    chunk_size: int | None,
    sharding: jax.sharding.Sharding | None,
) -> tuple[PyTree, jax.Array, PyTree, Any]:
    """Independent samples with the value and the derivative of f at each.

    Args:
      objective: f, differentiable in z.
      key: PRNG key.
      q: pytree of distributions.
      args: the other arguments of f.
      num_samples: how many.
      chunk_size: how many run at a time, None for all.
      sharding: of the sample axis.

    Returns:
      ``(z, values, slopes, aux)``, each with a leading axis of samples. The values are
      live, samples and slopes are stopped.
    """

    def one(k: jax.Array) -> Any:
        z = draw(k, q)
        return z, *value_and_slope(objective, z, args)

    return over_batch(one, sample_keys(key, num_samples, sharding), chunk_size)
