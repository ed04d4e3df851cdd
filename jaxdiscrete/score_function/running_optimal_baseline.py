"""REINFORCE with the constant baseline of least variance, as a running ratio."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.baselines import evaluate_scalar
from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import draw, freeze
from jaxdiscrete.core.needs import PARAMETERS
from jaxdiscrete.core.objective import (
    ObjectiveWithAux,
    as_signal,
    attach_signal,
    squared_norm,
)
from jaxdiscrete.core.rules import attach_objective
from jaxdiscrete.core.scores import score
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.core.varying import freeze_varying


@facts(needs=PARAMETERS, reference="Greensmith et al. 2004")
def reinforce_running_optimal_baseline(
    f: Objective,
    *,
    weighted_value: ArrayLike,
    weight: ArrayLike,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with the running form of the optimal constant.

    The baseline is ``weighted_value / weight``, running estimates of
    :math:`E[f|s|^2]` and :math:`E[|s|^2]` that the caller keeps. ``jax.grad`` with
    respect to them is that of :math:`\frac12(w - |s|^2)^2 + \frac12(u - f|s|^2)^2`, so
    plain SGD is a moving average. Unbiased. One call of ``f``, which need not be
    differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      weighted_value: scalar array u, in units of f times a squared score.
      weight: scalar array w, a squared score. While it is zero the baseline is
        zero.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f or an array is not one real scalar,
        or if q holds a sampler that gives only ``log_prob``.

    Example:
      >>> estimate = jd.reinforce_running_optimal_baseline(
      ...     lambda z: 10.0 + z, weighted_value=jnp.array(2.5), weight=jnp.array(0.25))
      >>> q = jd.Bernoulli(jnp.array(0.0))
      >>> print(jax.grad(estimate, 1)(jax.random.key(1), q).logits)  # (11 - 10) / 2
      0.5
    """

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        u = evaluate_scalar("weighted_value", weighted_value, args)
        w = evaluate_scalar("weight", weight, args)
        z = draw(key, q)
        value, aux = objective(z, *args)
        signal = as_signal(value)
        u, w = u.astype(signal.dtype), w.astype(signal.dtype)
        squared_score = squared_norm(score(freeze_varying(q, signal), z))
        squares = 0.5 * jnp.square(u - signal * squared_score)
        squares += 0.5 * jnp.square(w - squared_score)
        is_empty = w == 0
        baseline = jnp.where(is_empty, 0.0, u / jnp.where(is_empty, 1.0, w))
        value = attach_signal(value, q, z, signal - freeze(baseline))
        return attach_objective(value, squares), aux

    name = "reinforce_running_optimal_baseline"
    return estimator(name, f, body, needs=PARAMETERS, has_aux=has_aux)
