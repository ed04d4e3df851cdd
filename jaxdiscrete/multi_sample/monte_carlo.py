"""The mean of several independent estimates, in bounded memory."""

from __future__ import annotations

from typing import Any

import jax

from jaxdiscrete.core.checks import check_count
from jaxdiscrete.core.typing import Estimator, PyTree
from jaxdiscrete.multi_sample.mechanism import over_samples


def monte_carlo(
    estimate: Estimator,
    *,
    num_samples: int,
    chunk_size: int | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""The mean of M independent estimates, of any estimator.

    :math:`\frac1M\sum_m\hat g_m`: bias as that of ``estimate``, variance divided by
    M, M times its calls of f. What reaches a baseline is the mean of the single
    estimates' objectives.

    Args:
      estimate: ``estimate(key, q, *args) -> scalar``.
      num_samples: ``M >= 1``. Static.
      chunk_size: how many run at a time, each chunk recomputed in the backward
        pass, so that memory is that of one chunk. Static. Default: all at once.
      has_aux: whether the estimate returns ``(scalar, aux)``; the result then
        returns aux with a leading axis of M.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean value.

    Raises:
      TypeError, ValueError: if ``num_samples`` or ``chunk_size`` is not a positive
        integer.

    Example:
      >>> q = jd.Bernoulli(jnp.array(0.0))
      >>> one = jd.reinforce(lambda z: z)
      >>> many = jd.monte_carlo(one, num_samples=10_000, chunk_size=1000)
      >>> print(np.asarray(jax.grad(many, 1)(jax.random.key(0), q).logits).round(2))
      0.25
    """
    remedy = "Ask for one or more."
    check_count("monte_carlo", "num_samples", num_samples, 1, remedy)
    if chunk_size is not None:
        check_count("monte_carlo", "chunk_size", chunk_size, 1, remedy)

    def mean_estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        keys = jax.random.split(key, num_samples)

        def one(k: jax.Array) -> Any:
            return estimate(k, q, *args)

        out = over_samples(one, keys, chunk_size)
        values, aux = out if has_aux else (out, None)
        return (values.mean(), aux) if has_aux else values.mean()

    return mean_estimate
