"""REINFORCE with the mean of the other samples as the baseline of each."""

from __future__ import annotations

from typing import Any

import jax

from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.objective import as_signal
from jaxdiscrete.core.typing import Estimator, Objective
from jaxdiscrete.multi_sample.mechanism import multi_sample
from jaxdiscrete.multi_sample.others import less_mean_of_others


@facts(calls=EVERY_SAMPLE, reference="Salimans & Knowles 2014; Kool et al. 2019")
def reinforce_loo(
    f: Objective,
    *,
    num_samples: int,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with a leave-one-out baseline.

    For :math:`z_{1:K}\sim q_\phi` the gradient estimate of :math:`E_{q_\phi}[f(z)]`
    is :math:`\frac{1}{K-1}\sum_k (f(z_k)-\bar f)\,\nabla_\phi\log q_\phi(z_k)`.
    Unbiased: the baseline of each sample is the mean of the others, never of all.
    ``K`` calls of ``f``, which need not be differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``K >= 2``. Static.
      chunk_size: how many samples run at a time, each chunk recomputed in the
        backward pass, so that memory is that of one chunk. Static. Default: all at
        once.
      sharding: where the samples lie, for instance
        ``NamedSharding(mesh, PartitionSpec("samples"))``. Default: as the compiler
        decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of K. What leaves through aux gets no credit for what happens to it
        later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds no distributions.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.reinforce_loo(lambda z: 100.0 + z.sum(), num_samples=50)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(1))
      [0.3 0.2 0.3]

    References:
      T. Salimans, D. Knowles, On using control variates with stochastic
      approximation for variational Bayes, 2014.
      W. Kool, H. van Hoof, M. Welling, Buy 4 REINFORCE samples, get a baseline for
      free!, 2019.
    """

    def combine(
        values: jax.Array, statistics: Any, args: tuple[Any, ...]
    ) -> tuple[jax.Array, jax.Array]:
        signals = as_signal(values)
        return values.mean(), less_mean_of_others(signals) / num_samples

    return multi_sample(
        "reinforce_loo",
        f,
        combine,
        num_samples=num_samples,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )
