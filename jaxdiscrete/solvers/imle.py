"""Implicit maximum likelihood: the difference of two decisions of a solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.batches import check_chunk_size, over_batch, sample_keys
from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.marks import leaving
from jaxdiscrete.core.needs import SOLVER
from jaxdiscrete.core.numbers import check_count, check_positive
from jaxdiscrete.core.objective import value_and_slope, with_aux
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.typing import Objective, PyTree, Shape
from jaxdiscrete.noise import sample_gumbel
from jaxdiscrete.solvers.mechanism import (
    ScoreEstimator,
    Solver,
    check_solver,
    in_dtype_of,
    scores_in_float32,
)


@facts(
    calls=EVERY_SAMPLE,
    needs=SOLVER,
    is_unbiased=False,
    differentiates=True,
    reference="Niepert et al. 2021",
)
def imle(
    f: Objective,
    solver: Solver,
    *,
    step_size: ArrayLike,
    noise: Callable[[jax.Array, Shape], jax.Array] = sample_gumbel,
    num_samples: int = 1,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> ScoreEstimator:
    r"""Biased: implicit maximum likelihood, the difference of two decisions.

    With :math:`z = \mathrm{solver}(\theta + \epsilon)` the gradient estimate is
    :math:`(z - z')/\lambda` for the decision
    :math:`z' = \mathrm{solver}(\theta + \epsilon - \lambda f'(z))` that a gradient step
    on z would have preferred, from the same noise. For linear f and small
    :math:`\lambda` it tends to the gradient of :math:`E[f(z)]`, and its variance
    grows. Biased. ``num_samples`` calls of ``f`` and one derivative each, at the hard
    decisions: f must be differentiable in z there. Two calls of the solver per
    sample, vmapped.

    Args:
      f: ``f(z, *args) -> scalar`` for one decision ``z``.
      solver: as in :func:`perturbed_optimizer`.
      step_size: :math:`\lambda > 0`, a scalar, in units of the scores over those of
        :math:`f'`. It does not follow a factor applied to the estimate. Receives no
        gradient.
      noise: ``noise(key, shape)``, a floating array. Default:
        :func:`jaxdiscrete.noise.sample_gumbel`; for decisions of k items
        :func:`jaxdiscrete.noise.sum_of_gamma`.
      num_samples: how many perturbations to average. Static. Default: 1.
      chunk_size: how many run at a time, each chunk recomputed in the backward pass.
        Static. Default: all at once.
      sharding: where the perturbations lie, as in :func:`reinforce_loo`. Default: as
        the compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of ``num_samples``. What leaves through aux gets no credit for what
        happens to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, theta, *args) -> scalar``, the mean of f at the decisions, for
      scores theta, a floating array or a pytree of them. Reverse mode, first order.
      Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 1`` or the step size is known and not positive.
      TypeError, ValueError: when called, as :func:`perturbed_optimizer`.

    Example:
      >>> def two_best(theta):
      ...     return jnp.zeros_like(theta).at[jax.lax.top_k(theta, 2)[1]].set(1.0)
      >>> f = lambda z: jnp.dot(z, jnp.array([8.0, 0.0, 0.0, 0.0]))
      >>> estimate = jd.imle(f, two_best, step_size=1.0, num_samples=10_000)
      >>> gradient = jax.grad(estimate, 1)(jax.random.key(0), jnp.zeros(4))
      >>> print(np.asarray(gradient).round(1))
      [ 0.5 -0.2 -0.2 -0.2]

    References:
      M. Niepert, P. Minervini, L. Franceschi, Implicit MLE: backpropagating through
      discrete exponential family distributions, 2021.
    """
    check_count("imle", "num_samples", num_samples, 1, "Ask for one or more.")
    check_positive("step_size", step_size, "It is the size of a step on the scores.")
    check_chunk_size("imle", chunk_size)
    objective = with_aux(f, has_aux)

    def estimate(key: jax.Array, theta: PyTree, *args: Any) -> Any:
        check_solver("imle", objective, solver, theta, args)
        scores = freeze(scores_in_float32(theta))
        leaves, treedef = jax.tree.flatten(scores)
        step = jax.lax.stop_gradient(jnp.asarray(step_size, leaves[0].dtype))

        def perturb(k: jax.Array) -> PyTree:
            keys = [k] if len(leaves) == 1 else jax.random.split(k, len(leaves))
            noisy = [
                x + noise(each, x.shape).astype(x.dtype)
                for x, each in zip(leaves, keys, strict=True)
            ]
            return jax.tree.unflatten(treedef, noisy)

        def one(k: jax.Array) -> Any:
            perturbed = freeze(perturb(k))
            z = freeze(in_dtype_of(theta, solver(perturbed)))
            value, slope, aux = value_and_slope(objective, z, args)
            slope = in_dtype_of(scores, slope)
            moved = jax.tree.map(lambda p, s: p - step * s, perturbed, slope)
            target = freeze(in_dtype_of(scores, solver(moved)))
            change = jax.tree.map(lambda a, b: a - b, in_dtype_of(scores, z), target)
            return value, change, aux

        keys = sample_keys(key, num_samples, sharding)
        values, changes, aux = over_batch(one, keys, chunk_size)
        g = [x.mean(axis=0) / step for x in jax.tree.leaves(changes)]
        params = [jnp.asarray(x) for x in jax.tree.leaves(theta)]
        value = attach_gradient(values.mean(), params, g)
        return (value, leaving(aux)) if has_aux else value

    return estimate
