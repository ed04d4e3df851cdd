"""The constant baseline of least variance: leave-one-out, and as a running ratio."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.checks import (
    check_latents,
    check_objective,
    check_trainable_by_variance,
    evaluate_baseline,
)
from jaxdiscrete.core.latents import draw, freeze, score
from jaxdiscrete.core.rules import tap
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.multi_sample.mechanism import multi_sample, sum_of_others
from jaxdiscrete.score_function.mechanism import (
    as_signal,
    attach_signal,
    evaluate,
    freeze_like_sample,
    squared_norm,
)


def reinforce_optimal_baseline(
    f: Objective,
    *,
    num_samples: int,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with the optimal constant, estimated without bias.

    The constant that minimises the summed variance of :math:`(f - c)\,s` with
    :math:`s=\nabla_\phi\log q_\phi(z)` is the ratio of summed covariances to summed
    variances, :math:`E[f|s|^2] / E[|s|^2]`. Each sample uses the ratio of the others,
    :math:`c_{-k} = \sum_{j\ne k} f_j|s_j|^2 / \sum_{j\ne k}|s_j|^2`. Unbiased. ``K``
    calls of ``f``, which need not be differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``K >= 2``. Static.
      chunk_size: how many samples run at a time, as in
        :func:`jaxdiscrete.reinforce_loo`. Default: all at once.
      sharding: where the samples lie. Default: as the compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of K.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Where the scores of the
      others are all zero their plain mean is the baseline. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds a sampler that gives only ``log_prob``.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.reinforce_optimal_baseline(
      ...     lambda z: 100.0 + z.sum(), num_samples=50)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(1))
      [0.3 0.2 0.3]

    References:
      E. Greensmith, P. L. Bartlett, J. Baxter, Variance reduction techniques for
      gradient estimates in reinforcement learning, 2004.
    """

    name = "reinforce_optimal_baseline"

    def combine(
        values: jax.Array, weights: jax.Array, args: tuple[Any, ...]
    ) -> tuple[jax.Array, jax.Array]:
        signals = as_signal(values)
        total = sum_of_others(weights)
        is_empty = total == 0
        optimal = sum_of_others(weights * signals) / jnp.where(is_empty, 1.0, total)
        mean = sum_of_others(signals) / (num_samples - 1)
        baselines = jnp.where(is_empty, mean, optimal)
        return values.mean(), (signals - baselines) / num_samples

    return multi_sample(
        name,
        f,
        combine,
        num_samples=num_samples,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
        statistic=lambda q, z: squared_norm(score(q, z)),
        check=lambda q: check_trainable_by_variance(name, q),
    )


def reinforce_running_optimal_baseline(
    f: Objective,
    *,
    weighted_value: ArrayLike,
    weight: ArrayLike,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with the running form of the optimal constant.

    The baseline is ``weighted_value / weight``, running estimates of
    :math:`E[f|s|^2]` and :math:`E[|s|^2]` that the caller keeps. ``jax.grad`` with
    respect to them is that of :math:`\frac12(w - |s|^2)^2 + \frac12(u - f|s|^2)^2`, so
    plain SGD is a moving average. Unbiased. One call of ``f``, which need not be
    differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      weighted_value: scalar array u, in units of f times a squared score.
      weight: scalar array w, a squared score. While it is zero the baseline is
        zero.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f or an array is not one real scalar,
        or if q holds a sampler that gives only ``log_prob``.

    Example:
      >>> estimate = jd.reinforce_running_optimal_baseline(
      ...     lambda z: 10.0 + z, weighted_value=jnp.array(2.5), weight=jnp.array(0.25))
      >>> q = jd.Bernoulli(jnp.array(0.0))
      >>> print(jax.grad(estimate, 1)(jax.random.key(1), q).logits)  # (11 - 10) / 2
      0.5
    """

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        name = "reinforce_running_optimal_baseline"
        check_latents(name, q)
        check_trainable_by_variance(name, q)
        check_objective(f, key, q, args, has_aux)
        u = evaluate_baseline("weighted_value", weighted_value, args)
        w = evaluate_baseline("weight", weight, args)

        z = draw(key, q)
        value, aux = evaluate(f, z, args, has_aux)
        signal = as_signal(value)
        u, w = u.astype(signal.dtype), w.astype(signal.dtype)
        squared_score = squared_norm(score(freeze_like_sample(q, signal), z))
        objective = 0.5 * jnp.square(u - signal * squared_score)
        objective += 0.5 * jnp.square(w - squared_score)
        is_empty = w == 0
        level = jnp.where(is_empty, 0.0, u / jnp.where(is_empty, 1.0, w))
        value = attach_signal(value, q, z, signal - freeze(level))
        value = tap(value, objective)
        return (value, aux) if has_aux else value

    return estimate
