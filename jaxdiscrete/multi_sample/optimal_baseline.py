"""REINFORCE with the constant baseline of least variance, from the other samples."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.needs import PARAMETERS
from jaxdiscrete.core.objective import as_signal, squared_norm
from jaxdiscrete.core.scores import score
from jaxdiscrete.core.typing import Estimator, Objective
from jaxdiscrete.multi_sample.mechanism import multi_sample
from jaxdiscrete.multi_sample.others import mean_of_others, sum_of_others


@facts(calls=EVERY_SAMPLE, needs=PARAMETERS, reference="Greensmith et al. 2004")
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
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of K. What leaves through aux gets no credit for what happens to it
        later: see :func:`jaxdiscrete.sequential`.

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

    def combine(
        values: jax.Array, weights: jax.Array, args: tuple[Any, ...]
    ) -> tuple[jax.Array, jax.Array]:
        # The result does not depend on a shift, and rounds less without it.
        signals = as_signal(values)
        signals -= signals[:1]
        total = sum_of_others(weights)
        is_empty = total == 0
        optimal = sum_of_others(weights * signals) / jnp.where(is_empty, 1.0, total)
        baselines = jnp.where(is_empty, mean_of_others(signals), optimal)
        return values.mean(), (signals - baselines) / num_samples

    return multi_sample(
        "reinforce_optimal_baseline",
        f,
        combine,
        num_samples=num_samples,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
        statistic=lambda q, z: squared_norm(score(q, z)),
        needs=PARAMETERS,
    )
