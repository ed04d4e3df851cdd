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
from jax.typing import DTypeLike

from jaxdiscrete.core.checking import checking, is_checking
from jaxdiscrete.core.checks import check_differentiable, check_parameters
from jaxdiscrete.core.objective import ObjectiveWithAux, value_of
from jaxdiscrete.core.precision import at_least_float32
from jaxdiscrete.core.typing import PyTree, Shape

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


def scores_in_float32(theta: PyTree) -> PyTree:
    """The scores in one dtype, at least float32: their noise has one density."""
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(theta)]
    dtype = at_least_float32(*(x.dtype for x in leaves))
    return jax.tree.map(lambda x: jnp.asarray(x).astype(dtype), theta)


def in_dtype_of(theta: PyTree, z: PyTree) -> PyTree:
    """A decision in the dtype of the scores."""
    return jax.tree.map(
        lambda t, x: jnp.asarray(x).astype(jnp.result_type(t)), theta, z
    )


def check_solver(
    name: str,
    objective: ObjectiveWithAux,
    solver: Solver,
    theta: PyTree,
    args: tuple[Any, ...],
) -> None:
    """Raises unless scores, solver and objective fit one another."""
    check_parameters(name, "theta", theta)
    if is_checking():
        return
    scores = scores_in_float32(theta)
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
    z = jax.eval_shape(lambda: in_dtype_of(theta, scores))
    with checking():
        check_differentiable(name, "f", value_of(objective), z, args)
