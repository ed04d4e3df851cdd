"""DiCE: the score function as an expression that JAX may differentiate again."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.baselines import Baseline, evaluate_baseline
from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import draw, freeze, log_prob
from jaxdiscrete.core.objective import ObjectiveWithAux
from jaxdiscrete.core.precision import at_least_float32
from jaxdiscrete.core.rules import refuse_gradient
from jaxdiscrete.core.typing import Estimator, Objective, PyTree

_NOT_TRAINED = (
    "Expected a baseline of jaxdiscrete.dice that is not differentiated, got a "
    "derivative of it. Derivatives of every order leave it nothing to be trained by: "
    "stop it with jax.lax.stop_gradient, and fit it by an estimator of its own, for "
    "instance jaxdiscrete.nvil."
)


@facts(reference="Foerster et al. 2018")
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
      baseline: b, scalar or ``baseline(*args) -> scalar`` with its inputs stopped.
        Nothing trains it: a derivative of it is an error. Default: none.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Batch with
      :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f or the baseline does not return one
        real scalar, or if q holds no distributions; when differentiated, if the
        baseline is to receive a gradient.

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

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        b = evaluate_baseline(baseline, args)
        z = draw(key, q)
        value, aux = objective(z, *args)
        log_q = log_prob(q, z)
        dtype = at_least_float32(value.dtype, log_q.dtype)
        box = jnp.exp(log_q - jax.lax.stop_gradient(log_q)).astype(dtype)
        boxed = box * value.astype(dtype)
        level = b.by_variance if b.by_error is None else b.by_error
        if level is not None:
            stopped = freeze(refuse_gradient(level, _NOT_TRAINED))
            boxed += (1.0 - box) * stopped.astype(dtype)
        return boxed.astype(value.dtype), aux

    return estimator("dice", f, body, has_aux=has_aux)
