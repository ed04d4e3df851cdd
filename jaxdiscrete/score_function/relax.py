"""RELAX: a learned critic of the relaxed sample as control variate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from jaxdiscrete.core.checks import (
    check_can_be_stopped,
    check_differentiable,
    check_scalar,
    check_temperature,
)
from jaxdiscrete.core.latents import spread
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree, Relaxation
from jaxdiscrete.score_function.mechanism import (
    Draw,
    scalar_part,
    scale_gradient,
    with_control_variate,
)
from jaxdiscrete.score_function.relaxed_control import (
    concrete,
    independent_control,
    relaxed_draw,
    relaxed_draw_with_key,
    tied_control,
)


def _relax(
    name: str,
    f: Objective,
    critic: Callable[..., jax.Array],
    make_control: Any,
    draw: Any,
    temperature: PyTree,
    scale: PyTree | None,
    baseline: Baseline | None,
    relaxation: Relaxation,
    has_aux: bool,
) -> Estimator:
    check_temperature(temperature)
    plain = scalar_part(f, has_aux)
    control_of_critic = make_control(critic, relaxation)
    control_of_f = make_control(plain, relaxation)

    def parameters(q: PyTree) -> Any:
        eta = None if scale is None else spread("scale", scale, q)
        return spread("temperature", temperature, q), eta

    def relaxed_f(q: PyTree, drawn: Draw, args: tuple[Any, ...], fitted: Any) -> PyTree:
        t, eta = fitted
        return scale_gradient(eta, control_of_f(q, drawn, args, t))

    def live(q: PyTree, drawn: Draw, args: tuple[Any, ...], fitted: Any) -> PyTree:
        return control_of_critic(q, drawn, args, fitted[0])

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        del q
        check_can_be_stopped("critic", args)
        check_scalar("critic", critic, z, args)
        check_differentiable(name, "critic", critic, z, args)
        if scale is not None:
            check_differentiable(name, "f", plain, z, args)

    return with_control_variate(
        name,
        f,
        draw=draw,
        control=None if scale is None else relaxed_f,
        parameters=parameters,
        baseline=baseline,
        live_control=live,
        check=check,
        has_aux=has_aux,
    )


def relax(
    f: Objective,
    critic: Callable[..., jax.Array],
    *,
    temperature: PyTree,
    scale: PyTree | None = None,
    baseline: Baseline | None = None,
    relaxation: Relaxation = concrete,
    has_aux: bool = False,
) -> Estimator:
    r"""RELAX, with conditional noise tied to the sample's.

    The estimator of :func:`rebar` with a free critic in place of the relaxed
    objective: :math:`c(\zeta) = r_\psi(\sigma_\lambda(\zeta))`, and with ``scale``
    :math:`c = \eta f\circ\sigma_\lambda + r_\psi\circ\sigma_\lambda`. Unbiased for
    every critic. One call of ``f``, which need not be differentiable in z; with
    ``scale`` two calls and one derivative. One call of the critic and its derivative.

    ``jax.grad`` with respect to the arrays that the critic (or ``relaxation``) closes
    over, and to temperature, scale and baseline, is the gradient of the estimator's
    second moment: of the squared norm of the gradient with respect to q's own leaves
    (the logits), one call at a time. Nothing of it reaches what f closes over.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      critic: ``critic(z, *args) -> scalar``, differentiable in the relaxed z: any
        callable, such as a flax module's apply over its parameters. ``args`` are
        stopped; features it shares with the model through a closure must be stopped
        by the caller.
      temperature: :math:`\lambda > 0`, as in :func:`rebar`.
      scale: :math:`\eta`, as in :func:`rebar`. Default: the critic alone.
      baseline: scalar array or ``baseline(*args) -> scalar``, trained by the
        variance. Default: none.
      relaxation: as in :func:`rebar`. Default: concrete.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if a temperature is known and not positive; when called, if
        shapes do not fit.
      TypeError: when called, if f or the critic does not return one real scalar or
        is not differentiable where it must be, or if q cannot be relaxed.

    Example:
      >>> def loss(weights, key):
      ...     q = jd.Bernoulli(jnp.zeros(2))
      ...     critic = lambda z: jnp.dot(weights, z)
      ...     f = lambda z: jnp.where(z.sum() > 1.0, 1.0, 0.0)  # a black box
      ...     return jd.relax(f, critic, temperature=0.5)(key, q)
      >>> slope = jax.grad(loss)(jnp.array([0.5, 0.5]), jax.random.key(0))
      >>> print(slope.shape)  # of the variance, with respect to the critic's weights
      (2,)

    References:
      W. Grathwohl, D. Choi, Y. Wu, G. Roeder, D. Duvenaud, Backpropagation through
      the void, 2018.
    """
    return _relax(
        "relax",
        f,
        critic,
        tied_control,
        relaxed_draw,
        temperature,
        scale,
        baseline,
        relaxation,
        has_aux,
    )


def relax_independent(
    f: Objective,
    critic: Callable[..., jax.Array],
    *,
    temperature: PyTree,
    scale: PyTree | None = None,
    baseline: Baseline | None = None,
    relaxation: Relaxation = concrete,
    has_aux: bool = False,
) -> Estimator:
    r"""RELAX, with conditional noise of its own.

    The estimator of :func:`relax` with :math:`\tilde\zeta` drawn from new noise.
    Unbiased. One call of ``f`` (three, and two derivatives, with ``scale``), two of
    the critic.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      critic: as in :func:`relax`.
      temperature: as in :func:`relax`.
      scale: as in :func:`relax`. Default: the critic alone.
      baseline: as in :func:`relax`. Default: none.
      relaxation: as in :func:`relax`. Default: concrete.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, as :func:`relax`.

    Raises:
      TypeError, ValueError: as :func:`relax`.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(2))
      >>> critic = lambda z: 0.3 * z.sum()
      >>> estimate = jd.relax_independent(lambda z: z.sum(), critic, temperature=0.5)
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits.shape)
      (2,)

    References:
      W. Grathwohl, D. Choi, Y. Wu, G. Roeder, D. Duvenaud, Backpropagation through
      the void, 2018.
    """
    return _relax(
        "relax_independent",
        f,
        critic,
        independent_control,
        relaxed_draw_with_key,
        temperature,
        scale,
        baseline,
        relaxation,
        has_aux,
    )
