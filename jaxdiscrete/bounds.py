r"""Gradients of the multi-sample bound :math:`E[\log\frac1K\sum_k w(z_k)]`.

The logarithm does not commute with the expectation, so the mean of several estimates
is not an estimate of this. All take the log-weight :math:`\log w(z)`, for a
variational bound :math:`\log p(x, z) - \log q(z)`, and return the bound, which is
maximised: negate it to make a loss.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import (
    check_count,
    check_kind,
    evaluate_optional_baseline,
)
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.rules import tap
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree
from jaxdiscrete.coupled.antithetic import disarm_gradient, sample_pair
from jaxdiscrete.coupled.mechanism import coupled
from jaxdiscrete.distributions import Bernoulli
from jaxdiscrete.multi_sample.mechanism import multi_sample, sum_of_others
from jaxdiscrete.score_function.mechanism import as_signal


def _log_mean_exp(log_weights: jax.Array) -> jax.Array:
    shift = jnp.log(jnp.asarray(log_weights.size, log_weights.dtype))
    return jax.nn.logsumexp(log_weights) - shift


def _log_sum_of_others(log_weights: jax.Array) -> jax.Array:
    """For every sample, the logarithm of the sum of the other weights."""
    # From before and after, not the total minus one, which cancels where one dominates.
    nothing = jnp.full_like(log_weights[:1], -jnp.inf)
    before = jnp.concatenate([nothing, jax.lax.cumlogsumexp(log_weights)[:-1]])
    after = jax.lax.cumlogsumexp(log_weights, reverse=True)[1:]
    return jnp.logaddexp(before, jnp.concatenate([after, nothing]))


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
      has_aux: whether log_weight returns ``(scalar, aux)``; the estimate then
        returns aux with a leading axis of K.

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
      >>> bound = jd.vimco(log_weight, num_samples=1000)(jax.random.key(0), q)
      >>> print(np.asarray(bound).round(2))  # log of (exp(-.16) + exp(-.36)) ** 3
      1.3

    References:
      A. Mnih, D. J. Rezende, Variational inference for Monte Carlo objectives, 2016.
    """

    def combine(
        values: jax.Array, statistics: Any, args: tuple[Any, ...]
    ) -> tuple[jax.Array, jax.Array]:
        log_weights = as_signal(values)
        geometric = sum_of_others(log_weights) / (num_samples - 1)
        others = _log_sum_of_others(log_weights)
        signals = jax.nn.logsumexp(log_weights) - jnp.logaddexp(others, geometric)
        return _log_mean_exp(values), signals

    return multi_sample(
        "vimco",
        log_weight,
        combine,
        num_samples=num_samples,
        remedy="With one sample use jaxdiscrete.nvil, or multi_sample_nvil.",
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )


def multi_sample_nvil(
    log_weight: Objective,
    baseline: Baseline | None,
    *,
    num_samples: int,
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
      baseline: scalar array, or ``baseline(*args) -> scalar`` with its inputs
        stopped, fitted by the squared error :math:`\frac12(\hat L - b)^2`. None for
        none.
      num_samples: ``K >= 1``. Static.
      chunk_size: how many samples run at a time, as in :func:`reinforce_loo`.
        Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether log_weight returns ``(scalar, aux)``; the estimate then
        returns aux with a leading axis of K.

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
      ...     bound = jd.multi_sample_nvil(log_weight, b, num_samples=1000)
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
        bound = _log_mean_exp(values)
        signal = as_signal(bound)
        level = evaluate_optional_baseline("baseline", baseline, args)
        if level is not None:
            error = signal - level.astype(signal.dtype)
            bound = tap(bound, 0.5 * jnp.square(error))
            signal = freeze(error)
        return bound, jnp.broadcast_to(signal, values.shape)

    return multi_sample(
        "multi_sample_nvil",
        log_weight,
        combine,
        num_samples=num_samples,
        at_least=1,
        remedy="Ask for one or more.",
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )


def local_disarm(
    log_weight: Objective, *, num_samples: int, has_aux: bool = False
) -> Estimator:
    r"""The multi-sample bound with DisARM's signals, for binary variables.

    Every sample :math:`z_k` has an antithetic :math:`z_k'`. With the other samples
    held, the bound is a function of the k-th alone, whose gradient DisARM estimates:
    :math:`\sum_k \tfrac12(\hat L_k(z_k) - \hat L_k(z_k'))(z_k - z_k')\,\sigma(|a|)`
    for logits a, averaged with the same where the antithetic samples are the ones
    held. Unbiased for the bound of K samples. ``2 K`` calls of ``f``, the log-weight,
    which need not be differentiable in z. At equal calls it is below :func:`vimco` for
    few samples and can be above it for many.

    Args:
      log_weight: as in :func:`vimco`.
      num_samples: ``K >= 1``, pairs. Static.
      has_aux: whether log_weight returns ``(scalar, aux)``; the estimate then
        returns aux with a leading axis of 2 K, the antithetic samples last.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of the two bounds of K samples,
      to be maximised. Reverse mode, first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 1``; when called, if log_weight does not return
        one real scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli`.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> log_weight = lambda z: -jnp.sum((z - 0.4) ** 2) - q.log_prob(z).sum()
      >>> bound = jd.local_disarm(log_weight, num_samples=1000)(jax.random.key(0), q)
      >>> print(np.asarray(bound).round(2))
      1.31

    References:
      Z. Dong, A. Mnih, G. Tucker, DisARM: an antithetic gradient estimator for
      binary latent variables, 2020.
    """
    check_count("local_disarm", "num_samples", num_samples, 1, "Ask for one or more.")

    def sample(key: jax.Array, q: PyTree) -> tuple[PyTree, None]:
        keys = jax.random.split(key, num_samples)
        pairs = jax.vmap(lambda k: sample_pair(k, q)[0], out_axes=1)(keys)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), pairs), None

    def gradient(
        q: PyTree, z: PyTree, noise: None, signals: jax.Array
    ) -> list[jax.Array]:
        log_weights = signals.reshape(2, num_samples)
        pairs = jax.tree.map(lambda x: x.reshape(2, num_samples, *x.shape[1:]), z)
        held = jax.vmap(_log_sum_of_others)(log_weights)
        # local[i, j, k]: the bound with pair k at its j-th, the others at their i-th.
        local = jnp.logaddexp(held[:, None], log_weights[None])

        def one(pair: PyTree, bounds: jax.Array) -> list[jax.Array]:
            return disarm_gradient(q, pair, bounds)

        each = jax.vmap(one, in_axes=(1, 1))(pairs, local.mean(axis=0))
        return [g.sum(axis=0) for g in each]

    def reduce(values: jax.Array) -> jax.Array:
        return jax.vmap(_log_mean_exp)(values.reshape(2, num_samples)).mean()

    return coupled(
        log_weight,
        check=lambda q: check_kind("local_disarm", q, Bernoulli, variables="binary"),
        sample=sample,
        gradient=gradient,
        has_aux=has_aux,
        reduce=reduce,
    )
