"""NVIL: baselines fitted by squared error, and a signal of unit scale."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import (
    check_latents,
    check_objective,
    evaluate_optional_baseline,
)
from jaxdiscrete.core.latents import draw, freeze
from jaxdiscrete.core.rules import tap
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree
from jaxdiscrete.score_function.mechanism import as_signal, attach_signal, evaluate


def nvil(
    f: Objective,
    baseline: Baseline | None,
    *,
    centre: jax.Array | float | None = None,
    variance: jax.Array | float | None = None,
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
      baseline: scalar array, or ``baseline(*args) -> scalar`` with its inputs
        stopped. A scalar array trained by SGD is a moving-average baseline. None
        for none.
      centre: scalar array c, in units of f. Default: none.
      variance: scalar array v, in squared units of f. Default: no normalisation.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f or a baseline does not return one
        real scalar, or if q holds no distributions.

    Example:
      >>> def loss(c, key):
      ...     q = jd.Bernoulli(jnp.array(0.0))
      ...     return jd.nvil(lambda z: 10.0 + z, c)(key, q)
      >>> print(jax.grad(loss)(jnp.array(0.0), jax.random.key(0)))  # c - f
      -10.0

    References:
      A. Mnih, K. Gregor, Neural variational inference and learning in belief
      networks, 2014.
    """

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_latents("nvil", q)
        check_objective(f, key, q, args, has_aux)
        b = evaluate_optional_baseline("baseline", baseline, args)
        c = evaluate_optional_baseline("centre", centre, args)
        v = evaluate_optional_baseline("variance", variance, args)

        z = draw(key, q)
        value, aux = evaluate(f, z, args, has_aux)
        target = as_signal(value)
        level = jnp.zeros_like(target) if b is None else b.astype(target.dtype)
        centre_level = jnp.zeros_like(target) if c is None else c.astype(target.dtype)
        error = target - freeze(centre_level) - level
        objective = 0.5 * jnp.square(error)
        objective += 0.5 * jnp.square(target - freeze(level) - centre_level)
        signal = freeze(error)
        if v is not None:
            spread = v.astype(target.dtype)
            objective += 0.5 * jnp.square(jnp.square(signal) - spread)
            signal = signal / jnp.sqrt(jnp.maximum(freeze(spread), 1.0))
        value = tap(attach_signal(value, q, z, signal), objective)
        return (value, aux) if has_aux else value

    return estimate
