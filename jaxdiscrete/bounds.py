r"""Gradients of the multi-sample bound :math:`E[\log\frac1K\sum_k w(z_k)]`.

The logarithm does not commute with the expectation, so the mean of several estimates
is not an estimate of this. All take the log-weight :math:`\log w(z)`, for a
variational bound :math:`\log p(x, z) - \log q(z)`, and return the bound, which is
maximised: negate it to make a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.baselines import check_scalar_given, evaluate_scalar
from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.objective import as_signal
from jaxdiscrete.core.rules import attach_objective
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.coupled.local_disarm import local_disarm
from jaxdiscrete.multi_sample.mechanism import multi_sample
from jaxdiscrete.multi_sample.others import log_mean_exp, signals_by_others

__all__ = ["local_disarm", "multi_sample_nvil", "vimco"]


@facts(calls=EVERY_SAMPLE, namespace="bounds.", reference="Mnih & Rezende 2016")
def vimco(
    log_weight: Objective,
    *,
    num_samples: int,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""The multi-sample bound, with a signal of its own for every sample.

    The gradient estimate of :math:`E[\log\frac1K\sum_k w(z_k)]` is
    :math:`\sum_k (\hat L - \hat L_{-k})\nabla_\phi\log q_\phi(z_k)`, where
    :math:`\hat L_{-k}` is the bound with :math:`w(z_k)` replaced by the geometric mean
    of the other weights. Unbiased. ``K`` calls of ``f``, the log-weight, which need
    not be differentiable in z.

    Args:
      log_weight: ``log_weight(z, *args) -> scalar``, finite, for one sample ``z``.
        Its direct dependence on q, as in :math:`-\log q(z)`, gets its own gradient
        where it stands.
      num_samples: ``K >= 2``. Static.
      chunk_size: how many samples run at a time, as in :func:`reinforce_loo`.
        Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether log_weight returns ``(scalar, aux)``; the estimate then returns
        aux with a leading axis of K. What leaves through aux gets no credit for what
        happens to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the bound, to be maximised. Reverse mode,
      first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if log_weight does not return
        one real scalar.
      TypeError: when called, if q holds no distributions.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> log_weight = lambda z: -jnp.sum((z - 0.4) ** 2) - q.log_prob(z).sum()
      >>> bound = jd.bounds.vimco(log_weight, num_samples=1000)(jax.random.key(0), q)
      >>> print(np.asarray(bound).round(2))  # log of (exp(-.16) + exp(-.36)) ** 3
      1.3

    References:
      A. Mnih, D. J. Rezende, Variational inference for Monte Carlo objectives, 2016.
    """

    def combine(
        values: jax.Array, statistics: Any, args: tuple[Any, ...]
    ) -> tuple[jax.Array, jax.Array]:
        return log_mean_exp(values), signals_by_others(as_signal(values))

    return multi_sample(
        "bounds.vimco",
        log_weight,
        combine,
        num_samples=num_samples,
        remedy="With one sample use jaxdiscrete.nvil, or bounds.multi_sample_nvil.",
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )


@facts(calls=EVERY_SAMPLE, namespace="bounds.", reference="Mnih & Gregor 2014")
def multi_sample_nvil(
    log_weight: Objective,
    *,
    num_samples: int,
    baseline: ArrayLike | Callable[..., ArrayLike] | None = None,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""The multi-sample bound, with one signal for all samples.

    The gradient estimate of :math:`E[\log\frac1K\sum_k w(z_k)]` is
    :math:`(\hat L - b)\sum_k\nabla_\phi\log q_\phi(z_k)`. Unbiased. ``K`` calls of
    ``f``, the log-weight, which need not be differentiable in z. Every sample is
    blamed for all of them, so that the variance grows with K; :func:`vimco` mends it.

    Args:
      log_weight: as in :func:`vimco`.
      num_samples: ``K >= 1``. Static.
      baseline: scalar, or ``baseline(*args) -> scalar`` with its inputs stopped; by
        the definition of NVIL fitted by the squared error
        :math:`\frac12(\hat L - b)^2`. Default: none. What it
        shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      chunk_size: how many samples run at a time, as in :func:`reinforce_loo`.
        Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether log_weight returns ``(scalar, aux)``; the estimate then returns
        aux with a leading axis of K. What leaves through aux gets no credit for what
        happens to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the bound, to be maximised. Reverse mode,
      first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 1``; when called, if log_weight or the baseline
        does not return one real scalar.
      TypeError: when called, if q holds no distributions.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> log_weight = lambda z: -jnp.sum((z - 0.4) ** 2) - q.log_prob(z).sum()
      >>> def loss(b):
      ...     bound = jd.bounds.multi_sample_nvil(
      ...         log_weight, baseline=b, num_samples=1000)
      ...     return -bound(jax.random.key(0), q)
      >>> print(jax.grad(loss)(0.0).round(2))  # b - bound
      -1.3

    References:
      A. Mnih, K. Gregor, Neural variational inference and learning in belief
      networks, 2014.
      A. Mnih, D. J. Rezende, Variational inference for Monte Carlo objectives, 2016.
    """

    def combine(
        values: jax.Array, statistics: Any, args: tuple[Any, ...]
    ) -> tuple[jax.Array, jax.Array]:
        bound = log_mean_exp(values)
        signal = as_signal(bound)
        if baseline is not None:
            b = evaluate_scalar("baseline", baseline, args)
            error = signal - b.astype(signal.dtype)
            bound = attach_objective(bound, 0.5 * jnp.square(error))
            signal = freeze(error)
        return bound, jnp.broadcast_to(signal, values.shape)

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        check_scalar_given("baseline", baseline, args)

    return multi_sample(
        "bounds.multi_sample_nvil",
        log_weight,
        combine,
        num_samples=num_samples,
        at_least=1,
        remedy="Ask for one or more.",
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
        check=check,
    )
