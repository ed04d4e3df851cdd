"""DisARM for the multi-sample bound."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.needs import BINARY
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.coupled.antithetic import (
    check_pairs,
    disarm_gradient,
    sample_pairs,
)
from jaxdiscrete.coupled.mechanism import coupled
from jaxdiscrete.multi_sample.others import log_mean_exp, log_sum_of_others


@facts(
    calls=EVERY_SAMPLE, needs=BINARY, namespace="bounds.", reference="Dong et al. 2020"
)
def local_disarm(
    log_weight: Objective,
    *,
    num_samples: int,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""The multi-sample bound with DisARM's signals, for binary variables.

    Every sample :math:`z_k` has an antithetic :math:`z_k'`. With the other samples
    held, the bound is a function of the k-th alone, whose gradient DisARM estimates:
    :math:`\sum_k \tfrac12(\hat L_k(z_k) - \hat L_k(z_k'))(z_k - z_k')\,\sigma(|a|)`
    for logits a, averaged with the same where the antithetic samples are the ones
    held. Unbiased for the bound of K samples, from K pairs. ``2 K`` calls of ``f``, the
    log-weight, which need not be differentiable in z. At equal calls it is below
    :func:`vimco` for few samples and can be above it for many.

    Args:
      log_weight: as in :func:`vimco`.
      num_samples: ``2 K``, an even number, two per pair. Static.
      chunk_size: at how many samples log_weight runs at a time, each chunk recomputed
        in the backward pass. Static. Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether log_weight returns ``(scalar, aux)``; the estimate then returns
        aux with a leading axis of 2 K, the antithetic samples last. What leaves through
        aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of the two bounds of K samples,
      to be maximised. Reverse mode, first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples`` is odd or less than 2; when called, if log_weight
        does not return one real scalar.
      TypeError: when called, if q holds anything but binary variables.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> log_weight = lambda z: -jnp.sum((z - 0.4) ** 2) - q.log_prob(z).sum()
      >>> estimate = jd.bounds.local_disarm(log_weight, num_samples=2000)
      >>> print(np.asarray(estimate(jax.random.key(0), q)).round(2))
      1.31

    References:
      Z. Dong, A. Mnih, G. Tucker, DisARM: an antithetic gradient estimator for
      binary latent variables, 2020.
    """
    check_pairs("bounds.local_disarm", num_samples)
    num_pairs = num_samples // 2

    def sample(key: jax.Array, q: PyTree) -> tuple[PyTree, None]:
        z, _ = sample_pairs(key, q, num_pairs)
        return jax.tree.map(lambda x: jnp.concatenate([x[::2], x[1::2]]), z), None

    def gradient(q: PyTree, z: PyTree, noise: None, signals: jax.Array) -> PyTree:
        log_weights = signals.reshape(2, num_pairs)
        # local[i, j, k]: the bound with pair k at its j-th, the others at their i-th.
        local = jnp.stack([log_weights, log_weights])
        if num_pairs > 1:
            held = jax.vmap(log_sum_of_others)(log_weights)
            local = jnp.logaddexp(held[:, None], log_weights[None])

        def pair_by_pair(x: jax.Array) -> jax.Array:
            return x.reshape(2, num_pairs, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)

        signals = pair_by_pair(local.mean(axis=0).reshape(-1))
        return disarm_gradient(q, jax.tree.map(pair_by_pair, z), signals)

    def reduce(values: jax.Array) -> jax.Array:
        return jax.vmap(log_mean_exp)(values.reshape(2, num_pairs)).mean()

    return coupled(
        "bounds.local_disarm",
        log_weight,
        sample=sample,
        gradient=gradient,
        needs=BINARY,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
        reduce=reduce,
    )
