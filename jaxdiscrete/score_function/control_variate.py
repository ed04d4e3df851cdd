"""The general control variate: any b with a tractable mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import check_scalar
from jaxdiscrete.core.latents import draw, score, spread, widen
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree
from jaxdiscrete.score_function.mechanism import (
    Draw,
    scale_gradient,
    with_control_variate,
)


def control_variate(
    f: Objective,
    b: Callable[..., jax.Array],
    mean: Callable[..., jax.Array],
    *,
    scale: PyTree = 1.0,
    baseline: Baseline | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with a control variate of your own.

    The gradient estimate is :math:`(f(z) - \eta b(z))\,\nabla_\phi\log q_\phi(z) +
    \eta\nabla_\phi E_{q_\phi}[b(z)]`. Unbiased if ``mean`` is the expectation of
    ``b`` under its argument q. One call of ``f``, which need not be differentiable.

    **b is frozen while its mean is differentiated**: ``mean`` is differentiated in
    its explicit argument q alone. What b and mean close over, or compute from
    ``args``, is constant, also when it was computed from the same q (an expansion
    point, say), and receives no gradient.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      b: ``b(z, *args) -> scalar``.
      mean: ``mean(q, *args) -> scalar``, :math:`E_q[b(z)]` as a function of q.
      scale: :math:`\eta`; one number, an array of the latent's shape, or a pytree of
        q's structure. Arrays are trained by the variance. Default: 1.
      baseline: scalar array or ``baseline(*args) -> scalar``, trained by the
        variance. Default: none.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f, b or mean does not return one real
        scalar, or if q gives only ``log_prob``.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      >>> estimate = jd.control_variate(  # b equals f: no variance
      ...     lambda z: z.sum(), lambda z: z.sum(), lambda q: q.mean().sum())
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(3))
      [0.235 0.235]
    """

    def control(q: PyTree, drawn: Draw, args: tuple[Any, ...], eta: Any) -> PyTree:
        value = jnp.asarray(b(drawn.z, *args))
        moved = jax.grad(lambda wide_q: jnp.asarray(mean(wide_q, *args)))(widen(q))
        h = jax.tree.map(
            lambda s, m: value.astype(s.dtype) * s - m, score(q, drawn.z), moved
        )
        return scale_gradient(eta, h)

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        check_scalar("b", b, z, args)
        check_scalar("mean", mean, q, args)

    return with_control_variate(
        "control_variate",
        f,
        draw=lambda key, q: Draw(draw(key, q)),
        control=control,
        parameters=lambda q: spread("scale", scale, q),
        baseline=baseline,
        check=check,
        has_aux=has_aux,
    )
