"""REINFORCE with the median of the other samples as the baseline of each.

A skeleton of an estimator's module; see new_estimator.md.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.objective import as_signal
from jaxdiscrete.core.typing import Estimator, Objective
from jaxdiscrete.multi_sample.mechanism import multi_sample


@facts(calls=EVERY_SAMPLE, reference="authors, year")
def reinforce_median(
    f: Objective,
    *,
    num_samples: int,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with the median of the other samples as baseline.

    For :math:`z_{1:K}\sim q_\phi` the gradient estimate of :math:`E_{q_\phi}[f(z)]` is
    :math:`\frac1K\sum_k (f(z_k) - m_k)\,\nabla_\phi\log q_\phi(z_k)`, with
    :math:`m_k` the median of the other values. Unbiased: a baseline of the other
    samples does not depend on its own. ``K`` calls of ``f``, which need not be
    differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``K >= 2``. Static.
      chunk_size: how many samples run at a time, as in :func:`reinforce_loo`.
        Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of K.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds no distributions.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = reinforce_median(lambda z: 100.0 + z.sum(), num_samples=50)
      >>> print(estimate(jax.random.key(0), q).round())
      101.0

    References:
      Authors, title, year.
    """

    def combine(
        values: jax.Array, statistics: Any, args: tuple[Any, ...]
    ) -> tuple[jax.Array, jax.Array]:
        signals = as_signal(values)
        is_self = jnp.eye(num_samples, dtype=bool)
        others = jnp.where(is_self, jnp.nan, signals[None, :])
        return values.mean(), (signals - jnp.nanmedian(others, axis=1)) / num_samples

    return multi_sample(
        "reinforce_median",
        f,
        combine,
        num_samples=num_samples,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )
