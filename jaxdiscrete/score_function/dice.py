"""DiCE: the score function as an expression that JAX may differentiate again."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import (
    check_latents,
    check_objective,
    evaluate_optional_baseline,
)
from jaxdiscrete.core.latents import draw, freeze, log_prob
from jaxdiscrete.core.precision import wide_dtype
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree
from jaxdiscrete.score_function.mechanism import evaluate


def dice(
    f: Objective, *, baseline: Baseline | None = None, has_aux: bool = False
) -> Estimator:
    r"""Score-function estimator of derivatives of every order.

    With :math:`z\sim q_\phi` and the box
    :math:`\square = \exp(\log q_\phi(z) - \bot(\log q_\phi(z)))`, where :math:`\bot`
    stops gradients, the estimate is :math:`\square f(z) + (1 - \square)\,b`. Its value
    is f(z), and each of its derivatives is an estimate of that derivative of
    :math:`E_{q_\phi}[f(z)]`: gradients, Hessians, products with them, mixed ones with
    what f depends on, in forward and reverse mode. Unbiased at every order. The
    variance grows with the order, from that of :func:`reinforce` for the first.
    One call of ``f``, which need not be differentiable in z.

    Estimates may be nested, one of a later layer inside f of an earlier one. A
    first-order estimator inside f refuses its second derivative.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      baseline: b, scalar or ``baseline(*args) -> scalar``. Stopped, and so not
        trained: it receives no gradient. Default: none.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Batch with
      :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f or the baseline does not return one
        real scalar, or if q holds no distributions.

    Example:
      >>> q = jd.Bernoulli(jnp.array([1.0, -1.0]))
      >>> estimate = jd.dice(lambda z: 4.0 * z[0] * z[1], baseline=1.0)
      >>> hessians = jax.vmap(jax.hessian(estimate, 1), (0, None))(
      ...     jax.random.split(jax.random.key(0), 100_000), q)
      >>> mean = jax.tree.leaves(hessians)[0].mean(0)
      >>> print(np.asarray(mean).round(1))  # exact: -.10 .15, .15 .27
      [[-0.1  0.2]
       [ 0.2  0.3]]

    References:
      J. Foerster, G. Farquhar, M. Al-Shedivat, T. Rocktaschel, E. P. Xing,
      S. Whiteson, DiCE: the infinitely differentiable Monte Carlo estimator, 2018.
      J. Mao, J. Foerster, T. Rocktaschel, M. Al-Shedivat, G. Farquhar, S. Whiteson,
      A baseline for any order gradient estimation in stochastic computation graphs,
      2019.
    """

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_latents("dice", q)
        check_objective(f, key, q, args, has_aux)
        level = evaluate_optional_baseline("baseline", baseline, args)

        z = draw(key, q)
        value, aux = evaluate(f, z, args, has_aux)
        log_q = log_prob(q, z)
        dtype = wide_dtype(value.dtype, log_q.dtype)
        box = jnp.exp(log_q - jax.lax.stop_gradient(log_q)).astype(dtype)
        boxed = box * value.astype(dtype)
        if level is not None:
            boxed += (1.0 - box) * freeze(level).astype(dtype)
        value = boxed.astype(value.dtype)
        return (value, aux) if has_aux else value

    return estimate
