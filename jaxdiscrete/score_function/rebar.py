"""REBAR: the relaxed objective, conditioned on the hard sample, as control variate."""

from __future__ import annotations

from typing import Any

from jaxdiscrete.core.baselines import Baseline
from jaxdiscrete.core.facts import TWO, facts
from jaxdiscrete.core.latents import broadcast_to_latents
from jaxdiscrete.core.needs import RELAXABLE
from jaxdiscrete.core.numbers import positive_temperature
from jaxdiscrete.core.typing import Estimator, Objective, PyTree, Relaxation
from jaxdiscrete.pathwise.relaxations import concrete_relaxation
from jaxdiscrete.score_function.conditional_noise import ConditionalNoise, tied_noise
from jaxdiscrete.score_function.mechanism import (
    Draw,
    check_relaxed_f,
    scale_gradient,
    with_control_variate,
)


@facts(
    calls=TWO,
    needs=RELAXABLE,
    differentiates=True,
    is_relaxed=True,
    reference="Tucker et al. 2017",
)
def rebar(
    f: Objective,
    *,
    temperature: PyTree,
    scale: PyTree = 1.0,
    baseline: Baseline | None = None,
    relaxed_f: Objective | None = None,
    relaxation: Relaxation = concrete_relaxation,
    conditional_noise: ConditionalNoise = tied_noise,
    has_aux: bool = False,
) -> Estimator:
    r"""REBAR: the relaxed objective, given the hard sample, as control variate.

    With :math:`\zeta` the relaxed sample, :math:`z` its threshold,
    :math:`\tilde\zeta` the relaxed sample conditioned on z, and
    :math:`c = f\circ\sigma_\lambda`, the gradient estimate is

    .. math:: (f(z) - b - \eta\,c(\tilde\zeta))\nabla_\phi\log q_\phi(z)
              + \eta\nabla_\phi c(\zeta) - \eta\nabla_\phi c(\tilde\zeta).

    Unbiased for every temperature, scale and relaxation. Two calls of ``f`` and one
    derivative, with :func:`independent_noise` three and two: f must be differentiable
    in z, and meaningful between the hard values, without jumps
    (:func:`jaxdiscrete.testing.assert_differentiable` looks for them).

    ``jax.grad`` with respect to temperature, scale and baseline is the gradient of
    the estimator's second moment, hence of its variance: of the squared norm of the
    gradient with respect to q's own leaves (the logits), one call at a time. Nothing
    of it reaches what f or ``relaxation`` close over.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      temperature: :math:`\lambda > 0`; one number, an array of the latent's shape,
        or a pytree of q's structure. Arrays are trained.
      scale: :math:`\eta`, in the same forms; the gradient of each latent has its own.
        Arrays are trained. Default: 1.
      baseline: scalar or ``baseline(*args) -> scalar``, trained by the variance, or by
        squared error in :func:`least_squares`. Default: none. What it
        shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      relaxed_f: what the control variate evaluates in place of f, of the same
        signature without aux; for instance a hierarchical model relaxed below this
        layer. Default: f.
      relaxation: :func:`concrete_relaxation`, or :func:`muprop_relaxation`, with which
        the paper's experiments were run. Default: Concrete.
      conditional_noise: :func:`tied_noise`, or :func:`independent_noise`, with which
        the paper's experiments were run. Default: tied.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

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
    temperature = positive_temperature(temperature)
    draw, control_at = conditional_noise(relaxation)

    def parameters(q: PyTree) -> Any:
        return (
            broadcast_to_latents("temperature", temperature, q),
            broadcast_to_latents("scale", scale, q),
        )

    def control(
        f: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], fitted: Any
    ) -> PyTree:
        t, eta = fitted
        relaxed = f if relaxed_f is None else relaxed_f
        return scale_gradient(eta, control_at(relaxed, q, drawn, args, t))

    return with_control_variate(
        "rebar",
        f,
        draw=draw,
        control=control,
        parameters=parameters,
        baseline=baseline,
        has_aux=has_aux,
        differentiates=relaxed_f is None,
        check=check_relaxed_f("rebar", relaxed_f),
    )
