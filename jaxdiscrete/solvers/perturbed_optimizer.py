"""f at the mean decision of a solver whose scores are perturbed."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.needs import SOLVER
from jaxdiscrete.core.numbers import check_count, check_positive
from jaxdiscrete.core.objective import with_aux
from jaxdiscrete.core.typing import Objective, PyTree
from jaxdiscrete.solvers.mechanism import (
    Noise,
    ScoreEstimator,
    Solver,
    check_solver,
    in_dtype_of,
    scores_in_float32,
)

_GUMBEL = optax.perturbations.Gumbel()


@facts(
    needs=SOLVER,
    is_unbiased=False,
    differentiates=True,
    is_relaxed=True,
    reference="Berthet et al. 2020",
)
def perturbed_optimizer(
    f: Objective,
    solver: Solver,
    *,
    num_noise: int,
    noise_scale: ArrayLike = 1.0,
    noise: Noise = _GUMBEL,
    has_aux: bool = False,
) -> ScoreEstimator:
    r"""Biased: f at the mean decision of a solver whose scores are perturbed.

    :math:`f(\bar z)` with :math:`\bar z = \frac1N\sum_n \mathrm{solver}(\theta +
    \sigma\epsilon_n)`, differentiated by the score function of the noise with the
    decision at :math:`\theta` as baseline. For linear f, the gradient of
    :math:`E[f(z)]` is unbiased. Biased otherwise, as f sees the mean in place of a
    decision. One call of ``f``, at the mean: f must be differentiable in z, and
    meaningful between the hard values. ``N + 1`` calls of the solver, vmapped.

    With the one-hot argmax as solver and Gumbel noise of scale 1, a decision is a
    sample of :class:`OneHotCategorical` with logits :math:`\theta`. A score of ``-inf``
    masks its entry and receives no gradient.

    Args:
      f: ``f(z, *args) -> scalar`` for one decision ``z``.
      solver: ``solver(theta) -> z``, of the structure and shapes of theta; theta
        arrives in at least float32, z is converted to theta's own dtype. Never
        differentiated. Through :func:`jax.pure_callback` it may be a black box.
      num_noise: ``N >= 1``, draws of the noise. Static.
      noise_scale: :math:`\sigma > 0`, a scalar, in units of the scores. Receives no
        gradient. Default: 1.
      noise: what has ``sample(key, shape, dtype)`` and ``log_prob(x)``. Default:
        ``optax.perturbations.Gumbel()``.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, theta, *args) -> scalar``, f at the mean decision, for scores
      theta, a floating array or a pytree of them. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_noise < 1`` or the scale is known and not positive.
      TypeError, ValueError: when called, if theta is not floating, the solver does
        not return its structure and shapes, or f does not return one real scalar or is
        not differentiable in z.

    Example:
      >>> solver = lambda theta: jax.nn.one_hot(jnp.argmax(theta), theta.size)
      >>> f = lambda z: jnp.dot(z, jnp.array([4.5, 0.0, 0.0]))
      >>> estimate = jd.perturbed_optimizer(f, solver, num_noise=40_000)
      >>> gradient = jax.grad(estimate, 1)(jax.random.key(0), jnp.zeros(3))
      >>> print(np.asarray(gradient).round(1))
      [ 1.  -0.5 -0.5]

    References:
      Q. Berthet, M. Blondel, O. Teboul, M. Cuturi, J.-P. Vert, F. Bach, Learning with
      differentiable perturbed optimizers, 2020.
    """
    check_count("perturbed_optimizer", "num_noise", num_noise, 1, "Ask for more.")
    remedy = "Without noise the decision has no derivative."
    check_positive("noise_scale", noise_scale, remedy)
    objective = with_aux(f, has_aux)

    def estimate(key: jax.Array, theta: PyTree, *args: Any) -> Any:
        check_solver("perturbed_optimizer", objective, solver, theta, args)
        scores = scores_in_float32(theta)
        dtype = jax.tree.leaves(scores)[0].dtype
        # The noise of a masked entry has no say, so its density must have none.
        finite = jax.tree.map(lambda x: jnp.where(jnp.isneginf(x), 0.0, x), scores)

        def solve(perturbed: PyTree) -> PyTree:
            masked = jax.tree.map(
                lambda x, p: jnp.where(jnp.isneginf(x), x, p), freeze(scores), perturbed
            )
            return freeze(in_dtype_of(scores, solver(masked)))

        # The density of the noise is known up to a factor of its scale.
        scale = jax.lax.stop_gradient(jnp.asarray(noise_scale, dtype))
        mean = optax.perturbations.make_perturbed_fun(solve, num_noise, scale, noise)
        value, aux = objective(in_dtype_of(theta, mean(key, finite)), *args)
        return (value, aux) if has_aux else value

    return estimate
