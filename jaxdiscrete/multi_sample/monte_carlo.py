"""The mean of several independent estimates, in bounded memory."""

from __future__ import annotations

from typing import Any

import jax

from jaxdiscrete.core.batches import check_chunk_size, over_batch, sample_keys
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.sample import SEVERAL_SAMPLES, check_not_given
from jaxdiscrete.core.typing import Estimator, PyTree


def monte_carlo(
    estimate: Estimator,
    *,
    num_repeats: int,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""The mean of M independent estimates, of any estimator.

    :math:`\frac1M\sum_m\hat g_m`: bias as that of ``estimate``, variance divided by
    M, M times its calls of f. What reaches a baseline is the mean of the single
    estimates' objectives.

    Args:
      estimate: ``estimate(key, q, *args) -> scalar``.
      num_repeats: ``M >= 1``. Static.
      chunk_size: how many estimates run at a time, each chunk recomputed in the
        backward pass, so that memory is that of one chunk. Static. Default: all at
        once.
      sharding: where the estimates lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether the estimate returns ``(scalar, aux)``; the result then returns
        aux with a leading axis of M. What leaves through aux gets no credit for what
        happens to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean value.

    Raises:
      TypeError, ValueError: if ``num_repeats`` or ``chunk_size`` is not a positive
        integer.

    Example:
      >>> q = jd.Bernoulli(jnp.array(0.0))
      >>> one = jd.reinforce(lambda z: z)
      >>> many = jd.monte_carlo(one, num_repeats=10_000, chunk_size=1000)
      >>> print(np.asarray(jax.grad(many, 1)(jax.random.key(0), q).logits).round(2))
      0.25
    """
    check_count("monte_carlo", "num_repeats", num_repeats, 1, "Ask for one or more.")
    check_chunk_size("monte_carlo", chunk_size)

    def mean_estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_not_given("monte_carlo", key, SEVERAL_SAMPLES)
        keys = sample_keys(key, num_repeats, sharding)
        out = over_batch(lambda k: estimate(k, q, *args), keys, chunk_size)
        values, aux = out if has_aux else (out, None)
        return (values.mean(), aux) if has_aux else values.mean()

    return mean_estimate
