"""NVIL: baselines fitted by squared error, and a signal of unit scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.baselines import evaluate_scalar
from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import draw, freeze
from jaxdiscrete.core.objective import ObjectiveWithAux, as_signal, attach_signal
from jaxdiscrete.core.rules import attach_objective
from jaxdiscrete.core.typing import Estimator, Objective, PyTree


@facts(reference="Mnih & Gregor 2014")
def nvil(
    f: Objective,
    *,
    baseline: ArrayLike | Callable[..., ArrayLike] | None = None,
    centre: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with NVIL's baselines and variance normalisation.

    With :math:`l = f(z) - b(x) - c` the gradient estimate is
    :math:`l\,\nabla_\phi\log q_\phi(z)`, unbiased; with ``variance`` it is divided by
    :math:`\max(1, \sqrt v)`, which changes the scale of the gradient to q (biased in
    length, not in direction) and never the pathwise gradient of f. One call of
    ``f``, which need not be differentiable in z.

    What ``jax.grad`` returns for the parts is the gradient of a squared error:
    :math:`\frac12(f - c - b)^2` for the baseline, :math:`\frac12(f - b - c)^2` for
    the centre, :math:`\frac12(l^2 - v)^2` for the variance. Plain SGD with rate
    :math:`1-\alpha` on centre and variance, under a mean loss, is the paper's moving
    average with decay :math:`\alpha`; their values are read before the update, so
    never contain the current sample.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      baseline: scalar, or ``baseline(*args) -> scalar`` with its inputs stopped; by
        the definition of NVIL fitted as by :func:`least_squares`. A scalar array
        trained by SGD is a moving-average baseline. Default: none. What it
        shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      centre: scalar array c, in units of f. Default: none.
      variance: scalar array v, in squared units of f. Default: no normalisation.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f or a baseline does not return one
        real scalar, or if q holds no distributions.

    Example:
      >>> def loss(c, key):
      ...     q = jd.Bernoulli(jnp.array(0.0))
      ...     return jd.nvil(lambda z: 10.0 + z, baseline=c)(key, q)
      >>> print(jax.grad(loss)(jnp.array(0.0), jax.random.key(0)))  # c - f
      -10.0

    References:
      A. Mnih, K. Gregor, Neural variational inference and learning in belief
      networks, 2014.
    """

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        given = {"baseline": baseline, "centre": centre, "variance": variance}
        parts = {
            what: evaluate_scalar(what, x, args)
            for what, x in given.items()
            if x is not None
        }
        z = draw(key, q)
        value, aux = objective(z, *args)
        target = as_signal(value)
        parts = {what: x.astype(target.dtype) for what, x in parts.items()}
        nothing = jnp.zeros_like(target)
        b, c = parts.get("baseline", nothing), parts.get("centre", nothing)
        error = target - freeze(c) - b
        squares = 0.5 * jnp.square(error)
        squares += 0.5 * jnp.square(target - freeze(b) - c)
        signal = freeze(error)
        if "variance" in parts:
            v = parts["variance"]
            squares += 0.5 * jnp.square(jnp.square(signal) - v)
            signal = signal / jnp.sqrt(jnp.maximum(freeze(v), 1.0))
        value = attach_signal(value, q, z, signal)
        return attach_objective(value, squares), aux

    return estimator("nvil", f, body, has_aux=has_aux)
