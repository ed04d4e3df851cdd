"""Decisions of a solver with perturbed scores, and gradients for the scores.

A solver maps scores to a discrete decision of the same shape: the one-hot argmax, the
k best, the edges of a shortest path. It is never differentiated, and may be a black
box; noise on the scores makes its decision random.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike, DTypeLike

from jaxdiscrete.core.checks import (
    check_count,
    check_differentiable,
    check_objective_at,
    check_parameters,
    check_positive,
)
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.precision import wide_dtype
from jaxdiscrete.core.rules import attach, value_stays_live
from jaxdiscrete.core.typing import Objective, PyTree, Shape
from jaxdiscrete.noise import sample_gumbel
from jaxdiscrete.score_function.mechanism import evaluate, scalar_part

#: ``solver(theta) -> z``, of the structure and shapes of theta.
Solver = Callable[[PyTree], PyTree]
#: ``estimate(key, theta, *args) -> scalar``.
ScoreEstimator = Callable[..., Any]


class Noise(Protocol):
    """Noise with a density, as those of ``optax.perturbations``."""

    def sample(self, key: jax.Array, sample_shape: Shape, dtype: DTypeLike) -> Any:
        """Independent noise of a shape and dtype."""

    def log_prob(self, inputs: jax.Array) -> jax.Array:
        """Its log-density, up to a constant, entry by entry."""


_GUMBEL = optax.perturbations.Gumbel()


def perturbed_optimizer(
    f: Objective,
    solver: Solver,
    *,
    num_samples: int,
    sigma: ArrayLike = 1.0,
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
      num_samples: ``N >= 1``. Static.
      sigma: positive scalar, in units of the scores. Receives no gradient.
        Default: 1.
      noise: what has ``sample(key, shape, dtype)`` and ``log_prob(x)``. Default:
        ``optax.perturbations.Gumbel()``.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, theta, *args) -> scalar``, f at the mean decision, for scores
      theta, a floating array or a pytree of them. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 1`` or sigma is known and not positive.
      TypeError, ValueError: when called, if theta is not floating, the solver does
        not return its structure and shapes, or f does not return one real scalar or is
        not differentiable in z.

    Example:
      >>> solver = lambda theta: jax.nn.one_hot(jnp.argmax(theta), theta.size)
      >>> f = lambda z: jnp.dot(z, jnp.array([4.5, 0.0, 0.0]))
      >>> estimate = jd.perturbed_optimizer(f, solver, num_samples=40_000)
      >>> gradient = jax.grad(estimate, 1)(jax.random.key(0), jnp.zeros(3))
      >>> print(np.asarray(gradient).round(1))
      [ 1.  -0.5 -0.5]

    References:
      Q. Berthet, M. Blondel, O. Teboul, M. Cuturi, J.-P. Vert, F. Bach, Learning with
      differentiable perturbed optimizers, 2020.
    """
    check_count("perturbed_optimizer", "num_samples", num_samples, 1, "Ask for more.")
    check_positive("sigma", sigma, "Without noise the decision has no derivative.")

    def estimate(key: jax.Array, theta: PyTree, *args: Any) -> Any:
        _check("perturbed_optimizer", f, solver, theta, args, has_aux)
        scores = _wide(theta)
        dtype = jax.tree.leaves(scores)[0].dtype
        # The noise of a masked entry has no say, so its density must have none.
        finite = jax.tree.map(lambda x: jnp.where(jnp.isneginf(x), 0.0, x), scores)

        def solve(perturbed: PyTree) -> PyTree:
            masked = jax.tree.map(
                lambda x, p: jnp.where(jnp.isneginf(x), x, p), freeze(scores), perturbed
            )
            return freeze(_like(scores, solver(masked)))

        # The density of the noise is known up to a factor of sigma.
        scale = jax.lax.stop_gradient(jnp.asarray(sigma, dtype))
        mean = optax.perturbations.make_perturbed_fun(solve, num_samples, scale, noise)
        value, aux = evaluate(f, _like(theta, mean(key, finite)), args, has_aux)
        return (value, aux) if has_aux else value

    return estimate


def imle(
    f: Objective,
    solver: Solver,
    *,
    step_size: ArrayLike,
    noise: Callable[[jax.Array, Shape], jax.Array] = sample_gumbel,
    num_samples: int = 1,
    has_aux: bool = False,
) -> ScoreEstimator:
    r"""Biased: implicit maximum likelihood, the difference of two decisions.

    With :math:`z = \mathrm{solver}(\theta + \epsilon)` the gradient estimate is
    :math:`(z - z')/\lambda` for the decision
    :math:`z' = \mathrm{solver}(\theta + \epsilon - \lambda f'(z))` that a gradient step
    on z would have preferred, from the same noise. For linear f and small
    :math:`\lambda` it tends to the gradient of :math:`E[f(z)]`, and its variance
    grows. Biased. ``num_samples`` calls of ``f`` and one derivative each, at the hard
    decisions: f must be differentiable in z there. Two calls of the solver a sample,
    vmapped.

    Args:
      f: ``f(z, *args) -> scalar`` for one decision ``z``.
      solver: as in :func:`perturbed_optimizer`.
      step_size: :math:`\lambda > 0`, a scalar, in units of the scores over those of
        :math:`f'`. It does not follow a factor applied to the estimate. Receives no
        gradient.
      noise: ``noise(key, shape)``, a floating array. Default: :func:`sample_gumbel`;
        for decisions of k items :func:`sum_of_gamma`.
      num_samples: how many perturbations to average. Static. Default: 1.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of ``num_samples``.

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

    def estimate(key: jax.Array, theta: PyTree, *args: Any) -> Any:
        _check("imle", f, solver, theta, args, has_aux)
        scores = freeze(_wide(theta))
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
            z = freeze(_like(theta, solver(perturbed)))
            with value_stays_live():
                (value, aux), slope = jax.value_and_grad(
                    lambda x: evaluate(f, x, args, has_aux), has_aux=True
                )(z)
            slope = _like(scores, freeze(slope))
            moved = jax.tree.map(lambda p, s: p - step * s, perturbed, slope)
            target = freeze(_like(scores, solver(moved)))
            change = jax.tree.map(lambda a, b: a - b, _like(scores, z), target)
            return value, change, aux

        values, changes, aux = jax.vmap(one)(jax.random.split(key, num_samples))
        g = [x.mean(axis=0) / step for x in jax.tree.leaves(changes)]
        params = [jnp.asarray(x) for x in jax.tree.leaves(theta)]
        value = attach(values.mean(), params, g)
        return (value, aux) if has_aux else value

    return estimate


def _wide(theta: PyTree) -> PyTree:
    """The scores in one dtype, at least float32: their noise has one density."""
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(theta)]
    dtype = wide_dtype(*(x.dtype for x in leaves))
    return jax.tree.map(lambda x: jnp.asarray(x).astype(dtype), theta)


def _like(theta: PyTree, z: PyTree) -> PyTree:
    """A decision in the dtype of the scores."""
    return jax.tree.map(
        lambda t, x: jnp.asarray(x).astype(jnp.result_type(t)), theta, z
    )


def _check(
    name: str,
    f: Objective,
    solver: Solver,
    theta: PyTree,
    args: tuple[Any, ...],
    has_aux: bool,
) -> None:
    """Raises unless scores, solver and objective fit one another."""
    check_parameters(name, "theta", theta)

    scores = _wide(theta)
    expected, got = (
        (jax.tree.structure(tree), [jnp.shape(x) for x in jax.tree.leaves(tree)])
        for tree in (scores, jax.eval_shape(solver, scores))
    )
    if expected != got:
        raise ValueError(
            f"Expected the solver of jaxdiscrete.{name} to return the structure and "
            f"shapes of theta, {expected}, got {got}. Return an entry for every score, "
            "for instance a one-hot vector and not an index."
        )
    z = jax.eval_shape(lambda: _like(theta, scores))
    check_objective_at(f, lambda x: x, z, args, has_aux)
    check_differentiable(name, "f", scalar_part(f, has_aux), z, args)
