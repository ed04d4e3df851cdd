"""The general control variate: any b with a tractable mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.baselines import Baseline
from jaxdiscrete.core.checks import check_scalar
from jaxdiscrete.core.dataflow import derivative_paths
from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import (
    broadcast_to_latents,
    draw,
    parameters_in_float32,
)
from jaxdiscrete.core.needs import PARAMETERS
from jaxdiscrete.core.typing import Critic, Estimator, Objective, PyTree
from jaxdiscrete.score_function.mechanism import (
    Draw,
    control_of,
    scale_gradient,
    with_control_variate,
)


@facts(needs=PARAMETERS, reference="any b with a tractable mean")
def control_variate(
    f: Objective,
    control: Critic,
    mean: Callable[..., ArrayLike],
    *,
    scale: PyTree = 1.0,
    baseline: Baseline | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with a control variate of your own.

    With b the control, the gradient estimate is
    :math:`(f(z) - \eta b(z))\,\nabla_\phi\log q_\phi(z) +
    \eta\nabla_\phi E_{q_\phi}[b(z)]`. Unbiased if ``mean`` is the expectation of the
    control under its argument q. One call of ``f``, which need not be differentiable.

    **The control is frozen while its mean is differentiated**: ``mean`` is
    differentiated in its explicit argument q alone. What both close over, or compute
    from ``args``, is constant, also when it was computed from the same q (an expansion
    point, say), and receives no gradient.

    q may be continuous: a Gaussian, say, in :func:`as_sampler`, with the second-order
    expansion of f at its mean as the control, the delta method.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      control: b, as ``control(z, *args) -> scalar``.
      mean: ``mean(q, *args) -> scalar``, :math:`E_q[b(z)]` as a function of q.
      scale: :math:`\eta`; one number, an array of the latent's shape, or a pytree of
        q's structure. Arrays are trained by the variance. Default: 1.
      baseline: scalar or ``baseline(*args) -> scalar``, trained by the variance, or by
        squared error in :func:`least_squares`. Default: none. What it
        shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f, control or mean does not return one real
        scalar, if q gives only ``log_prob``, or if a wrapped distribution is given more
        than one ``scale``.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      >>> estimate = jd.control_variate(  # the control equals f: no variance
      ...     lambda z: z.sum(), lambda z: z.sum(), lambda q: q.mean().sum())
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(3))
      [0.235 0.235]
    """

    def h(
        f: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], eta: Any
    ) -> PyTree:
        del f
        value = jnp.asarray(control(drawn.z, *args))
        moved = jax.grad(lambda wide_q: jnp.asarray(mean(wide_q, *args)))(
            parameters_in_float32(q)
        )
        return scale_gradient(eta, control_of(value, drawn.score, moved))

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        check_scalar("control", control, z, args)
        check_scalar("mean", mean, q, args)
        paths = derivative_paths(mean, q, args)
        if not any(path.has_path for path in paths):
            raise TypeError(
                "Expected mean of jaxdiscrete.control_variate to depend on its "
                "argument q, got a function whose derivative there is zero by "
                "construction: the estimate would be biased by the whole gradient of "
                "the mean. Compute it from the q that it is called with; a constant "
                "control is a baseline."
            )

    return with_control_variate(
        "control_variate",
        f,
        draw=lambda key, q: Draw(draw(key, q)),
        control=h,
        parameters=lambda q: broadcast_to_latents("scale", scale, q),
        baseline=baseline,
        needs=PARAMETERS,
        has_aux=has_aux,
        check=check,
    )
