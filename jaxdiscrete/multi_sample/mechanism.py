"""Several independent samples of one q, each with a signal made from all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxdiscrete.core.batches import check_chunk_size, over_batch, sample_keys
from jaxdiscrete.core.checking import is_checking
from jaxdiscrete.core.estimator import estimator, with_path_to
from jaxdiscrete.core.latents import draw, freeze, log_prob
from jaxdiscrete.core.needs import SAMPLER, Needs
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.objective import (
    ObjectiveWithAux,
    as_signal,
    value_and_slope,
)
from jaxdiscrete.core.placed import first_axis_whole
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.sample import SEVERAL_SAMPLES
from jaxdiscrete.core.scores import scored
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.core.varying import freeze_varying
from jaxdiscrete.score_function.mechanism import attach_and_train

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
        *of_samples, aux = over_batch(one, keys, chunk_size)
        values, log_probs, extra = first_axis_whole(of_samples)
        value, signals = combine(values, extra, args)
        signals = freeze(signals)
        log_probs = scored(q, log_probs, signals)
        return attach_gradient(value, [log_probs], [signals]), aux

    return estimator(
        name,
        f,
        body,
        needs=needs,
        has_aux=has_aux,
        draws_its_own=SEVERAL_SAMPLES,
        check=check,
    )


class Samples(NamedTuple):
    """Independent samples of q and what f says there, all stopped.

    Attributes:
      q: the distributions.
      z: samples along a leading axis.
      signals: the value of f at each, in at least float32.
      slopes: the derivative of f in z at each.
    """

    q: PyTree
    z: PyTree
    signals: jax.Array
    slopes: PyTree


def multi_sample_with_slopes(
    name: str,
    f: Objective,
    frozen_part: Callable[..., PyTree],
    *,
    num_samples: int,
    remedy: str,
    chunk_size: int | None,
    sharding: jax.sharding.Sharding | None,
    needs: Needs,
    has_aux: bool,
    parameters: Callable[[PyTree], tuple[Any, ...]] = lambda q: (),
    live_control: Callable[[Samples, tuple[Any, ...]], PyTree] | None = None,
    check: Callable[[PyTree, PyTree, tuple[Any, ...]], None] | None = None,
) -> Estimator:
    """Builds an estimator of several samples with the derivative of f at each.

    The value is the mean of f. The gradient with respect to q is ``frozen_part`` less
    ``live_control``, and what these are made of is trained by the second moment.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective, differentiable in z.
      frozen_part: ``(samples, *parameters) -> g``: a pytree of q's structure. Nothing
        that it closes over receives a gradient.
      num_samples: how many, at least two. Static.
      remedy: what to do with fewer.
      chunk_size: how many run at a time, None for all. Static.
      sharding: of the sample axis; None leaves it to the compiler.
      needs: what it needs of the distributions in q.
      has_aux: whether f returns ``(value, aux)``.
      parameters: from q to the other arguments of ``frozen_part``. Default: none.
      live_control: ``(samples, args) -> g``, a term whose closed-over arrays are
        trained as well. Default: none.
      check: ``(q, shapes of z, args)``, raises before any compute.

    Returns:
      ``estimate(key, q, *args)``.
    """
    check_count(name, "num_samples", num_samples, 2, remedy)
    check_chunk_size(name, chunk_size)

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        trained = parameters(q)

        def one(k: jax.Array) -> Any:
            z = draw(k, q)
            return z, *value_and_slope(objective, z, args)

        keys = sample_keys(key, num_samples, sharding)
        *of_samples, aux = over_batch(one, keys, chunk_size)
        z, values, slopes = first_axis_whole(of_samples)
        if is_checking():
            return with_path_to(values.mean(), q), aux
        signals = as_signal(values)
        samples = Samples(freeze_varying(q, signals[0]), z, signals, slopes)
        control = None
        if live_control is not None:
            control = functools.partial(live_control, samples, args)
        value = attach_and_train(
            values.mean(),
            q,
            functools.partial(frozen_part, samples),
            trained,
            control,
            like=signals[0],
        )
        return value, aux

    return estimator(
        name,
        f,
        body,
        needs=needs,
        has_aux=has_aux,
        differentiates=True,
        draws_its_own=SEVERAL_SAMPLES,
        check=check,
    )
