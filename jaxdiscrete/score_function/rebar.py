"""REBAR: the relaxed objective, conditioned on the hard sample, as control variate."""

from __future__ import annotations

from typing import Any

from jaxdiscrete.core.checks import check_differentiable, check_temperature
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


def _rebar(
    name: str,
    f: Objective,
    make_control: Any,
    draw: Any,
    temperature: PyTree,
    scale: PyTree,
    baseline: Baseline | None,
    relaxed_f: Objective | None,
    relaxation: Relaxation,
    has_aux: bool,
) -> Estimator:
    check_temperature(temperature)
    relaxed = scalar_part(f, has_aux) if relaxed_f is None else relaxed_f
    control_of_f = make_control(relaxed, relaxation)

    def parameters(q: PyTree) -> Any:
        return spread("temperature", temperature, q), spread("scale", scale, q)

    def control(q: PyTree, drawn: Draw, args: tuple[Any, ...], fitted: Any) -> PyTree:
        t, eta = fitted
        return scale_gradient(eta, control_of_f(q, drawn, args, t))

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        del q
        what = "f" if relaxed_f is None else "relaxed_f"
        check_differentiable(name, what, relaxed, z, args)

    return with_control_variate(
        name,
        f,
        draw=draw,
        control=control,
        parameters=parameters,
        baseline=baseline,
        check=check,
        has_aux=has_aux,
    )


def rebar(
    f: Objective,
    *,
    temperature: PyTree,
    scale: PyTree,
    baseline: Baseline | None = None,
    relaxed_f: Objective | None = None,
    relaxation: Relaxation = concrete,
    has_aux: bool = False,
) -> Estimator:
    r"""REBAR, with conditional noise tied to the sample's.

    With :math:`\zeta` the relaxed sample, :math:`z` its threshold,
    :math:`\tilde\zeta` the relaxed sample conditioned on z, and
    :math:`c = f\circ\sigma_\lambda`, the gradient estimate is

    .. math:: (f(z) - b - \eta\,c(\tilde\zeta))\nabla_\phi\log q_\phi(z)
              + \eta\nabla_\phi c(\zeta) - \eta\nabla_\phi c(\tilde\zeta).

    Unbiased for every temperature, scale and relaxation. Two calls of ``f`` and one
    derivative: f must be differentiable in z, and meaningful between the hard
    values. One uniform a Bernoulli, one Gumbel a class.

    ``jax.grad`` with respect to temperature, scale and baseline is the gradient of
    the estimator's second moment, hence of its variance: of the squared norm of the
    gradient with respect to q's own leaves (the logits), one call at a time. Nothing
    of it reaches what f or ``relaxation`` close over.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      temperature: :math:`\lambda > 0`; one number, an array of the latent's shape,
        or a pytree of q's structure. Arrays are trained.
      scale: :math:`\eta`, likewise; the gradient of each latent has its own.
      baseline: scalar array or ``baseline(*args) -> scalar``, trained by the
        variance. Default: none.
      relaxed_f: what the control variate evaluates in place of f, of the same
        signature without aux; for instance a hierarchical model relaxed below this
        layer. Default: f.
      relaxation: :func:`concrete`, or :func:`muprop_relaxation`, with which the
        paper's experiments were run. Default: concrete.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`. If f contains estimators whose q depends
      on z, the gradient of the scale stays exact and that of the temperature holds
      their gradient estimates constant: less efficient, never biased.

    Raises:
      ValueError: if a temperature is known and not positive; when called, if
        shapes do not fit.
      TypeError: when called, if f does not return one real scalar or is not
        differentiable in z, or if q cannot be relaxed.

    Example:
      >>> def loss(log_temperature, key):
      ...     q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      ...     f = lambda z: jnp.sum((z - 0.45) ** 2)
      ...     temperature = jnp.exp(log_temperature)
      ...     return jd.rebar(f, temperature=temperature, scale=1.0)(key, q)
      >>> keys = jax.random.split(jax.random.key(0), 10_000)
      >>> slope = jax.vmap(jax.grad(loss), (None, 0))(jnp.log(0.1), keys).mean()
      >>> print(bool(slope < 0))  # a higher temperature has less variance here
      True

    References:
      G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, REBAR:
      low-variance, unbiased gradient estimates for discrete latent variable models,
      2017.
    """
    return _rebar(
        "rebar",
        f,
        tied_control,
        relaxed_draw,
        temperature,
        scale,
        baseline,
        relaxed_f,
        relaxation,
        has_aux,
    )


def rebar_independent(
    f: Objective,
    *,
    temperature: PyTree,
    scale: PyTree,
    baseline: Baseline | None = None,
    relaxed_f: Objective | None = None,
    relaxation: Relaxation = concrete,
    has_aux: bool = False,
) -> Estimator:
    r"""REBAR, with conditional noise of its own.

    The estimator of :func:`rebar` with :math:`\tilde\zeta` drawn from new noise.
    Unbiased. Three calls of ``f`` and two derivatives, and noise of its own for the
    conditional sample.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      temperature: as in :func:`rebar`.
      scale: as in :func:`rebar`.
      baseline: as in :func:`rebar`. Default: none.
      relaxed_f: as in :func:`rebar`. Default: f.
      relaxation: as in :func:`rebar`. Default: concrete.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, as :func:`rebar`.

    Raises:
      TypeError, ValueError: as :func:`rebar`.

    Example:
      >>> q = jd.OneHotCategorical(jnp.array([0.0, 1.0, -1.0]))
      >>> f = lambda z: jnp.dot(z, jnp.arange(3.0)) ** 2
      >>> estimate = jd.rebar_independent(f, temperature=0.5, scale=1.0)
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits.shape)
      (3,)

    References:
      G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, REBAR, 2017.
    """
    return _rebar(
        "rebar_independent",
        f,
        independent_control,
        relaxed_draw_with_key,
        temperature,
        scale,
        baseline,
        relaxed_f,
        relaxation,
        has_aux,
    )
