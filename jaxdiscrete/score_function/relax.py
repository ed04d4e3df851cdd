"""RELAX: a learned critic of the relaxed sample as control variate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxdiscrete.core.baselines import Baseline
from jaxdiscrete.core.checks import (
    check_args_are_arrays,
    check_differentiable,
    check_scalar,
)
from jaxdiscrete.core.facts import TWO, facts
from jaxdiscrete.core.latents import broadcast_to_latents
from jaxdiscrete.core.needs import RELAXABLE
from jaxdiscrete.core.numbers import positive_temperature
from jaxdiscrete.core.typing import (
    Critic,
    Estimator,
    Objective,
    PyTree,
    Relaxation,
)
from jaxdiscrete.pathwise.relaxations import concrete_relaxation
from jaxdiscrete.score_function.conditional_noise import ConditionalNoise, tied_noise
from jaxdiscrete.score_function.mechanism import (
    Draw,
    check_relaxed_f,
    scale_gradient,
    with_control_variate,
)


@facts(needs=RELAXABLE, reference="Grathwohl et al. 2018")
def relax(
    f: Objective,
    critic: Critic,
    *,
    temperature: PyTree,
    baseline: Baseline | None = None,
    relaxation: Relaxation = concrete_relaxation,
    conditional_noise: ConditionalNoise = tied_noise,
    has_aux: bool = False,
) -> Estimator:
    r"""RELAX: a learned critic of the relaxed sample as control variate.

    The estimator of :func:`rebar` with a free critic in place of the relaxed
    objective, :math:`c(\zeta) = r_\psi(\sigma_\lambda(\zeta))`. Unbiased for every
    critic. One call of ``f``, which need not be differentiable in z. One call of the
    critic and its derivative, with :func:`independent_noise` two. Where f is
    differentiable, :func:`relax_rebar` adds it to the critic.

    ``jax.grad`` with respect to the arrays that the critic (or ``relaxation``) closes
    over, and to temperature and baseline, is the gradient of the estimator's
    second moment: of the squared norm of the gradient with respect to q's own leaves
    (the logits), one call at a time. Nothing of it reaches what f closes over.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      critic: ``critic(z, *args) -> scalar``, differentiable in the relaxed z: any
        callable, such as a flax module's apply over its parameters. ``args`` are
        stopped; features it shares with the model through a closure must be stopped
        by the caller, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      temperature: :math:`\lambda > 0`, as in :func:`rebar`.
      baseline: as in :func:`rebar`. Default: none.
      relaxation: as in :func:`rebar`. Default: Concrete.
      conditional_noise: as in :func:`rebar`. Default: tied.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

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
    temperature = positive_temperature(temperature)
    draw, control_at = conditional_noise(relaxation)

    def parameters(q: PyTree) -> Any:
        return broadcast_to_latents("temperature", temperature, q)

    def live(
        f: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], t: Any
    ) -> PyTree:
        del f
        return control_at(critic, q, drawn, args, t)

    return with_control_variate(
        "relax",
        f,
        draw=draw,
        parameters=parameters,
        baseline=baseline,
        live_control=live,
        has_aux=has_aux,
        check=_check_critic("relax", critic),
    )


@facts(
    calls=TWO,
    needs=RELAXABLE,
    differentiates=True,
    is_relaxed=True,
    reference="Grathwohl et al. 2018",
)
def relax_rebar(
    f: Objective,
    critic: Critic,
    *,
    temperature: PyTree,
    scale: PyTree = 1.0,
    baseline: Baseline | None = None,
    relaxed_f: Objective | None = None,
    relaxation: Relaxation = concrete_relaxation,
    conditional_noise: ConditionalNoise = tied_noise,
    has_aux: bool = False,
) -> Estimator:
    r"""RELAX on top of REBAR: the relaxed objective and a critic as control variate.

    The form of RELAX for a differentiable f:
    :math:`c = \eta f\circ\sigma_\lambda + r_\psi\circ\sigma_\lambda` in place of
    :func:`rebar`'s c. Unbiased for every critic and scale. Two calls of ``f`` and one
    derivative, with :func:`independent_noise` three and two: f must be differentiable
    in z, and meaningful between the hard values.

    What ``jax.grad`` returns for the arrays of the critic, the temperature, the scale
    and the baseline is the gradient of the second moment, as in :func:`relax`.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      critic: as in :func:`relax`.
      temperature: :math:`\lambda > 0`, as in :func:`rebar`.
      scale: :math:`\eta`, as in :func:`rebar`. Default: 1.
      baseline: as in :func:`rebar`. Default: none.
      relaxed_f: as in :func:`rebar`. Default: f.
      relaxation: as in :func:`rebar`. Default: Concrete.
      conditional_noise: as in :func:`rebar`. Default: tied.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if a temperature is known and not positive; when called, if
        shapes do not fit.
      TypeError: when called, if f or the critic does not return one real scalar or
        is not differentiable in z, or if q cannot be relaxed.

    Example:
      >>> def loss(weights, key):
      ...     q = jd.Bernoulli(jnp.zeros(2))
      ...     critic = lambda z: jnp.dot(weights, z)
      ...     f = lambda z: jnp.sum((z - 0.45) ** 2)
      ...     return jd.relax_rebar(f, critic, temperature=0.5)(key, q)
      >>> print(jax.grad(loss)(jnp.zeros(2), jax.random.key(0)).shape)
      (2,)

    References:
      W. Grathwohl, D. Choi, Y. Wu, G. Roeder, D. Duvenaud, Backpropagation through
      the void, 2018.
    """
    temperature = positive_temperature(temperature)
    draw, control_at = conditional_noise(relaxation)

    def parameters(q: PyTree) -> Any:
        return (
            broadcast_to_latents("temperature", temperature, q),
            broadcast_to_latents("scale", scale, q),
        )

    def relaxed(
        f: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], fitted: Any
    ) -> PyTree:
        t, eta = fitted
        scaled = f if relaxed_f is None else relaxed_f
        return scale_gradient(eta, control_at(scaled, q, drawn, args, t))

    def live(
        f: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], fitted: Any
    ) -> PyTree:
        del f
        return control_at(critic, q, drawn, args, fitted[0])

    return with_control_variate(
        "relax_rebar",
        f,
        draw=draw,
        control=relaxed,
        parameters=parameters,
        baseline=baseline,
        live_control=live,
        has_aux=has_aux,
        differentiates=relaxed_f is None,
        check=_check_critic("relax_rebar", critic, relaxed_f),
    )


def _check_critic(
    name: str, critic: Critic, relaxed_f: Objective | None = None
) -> Callable[[PyTree, PyTree, tuple[Any, ...]], None]:
    check_relaxed = check_relaxed_f(name, relaxed_f)

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        check_relaxed(q, z, args)
        check_args_are_arrays("critic", args)
        check_scalar("critic", critic, z, args)
        check_differentiable(name, "critic", critic, z, args)

    return check
