"""The skeleton of all estimators: f normalised and checked once, then the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checking import checking, is_checking, is_staged
from jaxdiscrete.core.checks import check_differentiable, check_key, check_log_prob
from jaxdiscrete.core.latents import draw, freeze
from jaxdiscrete.core.marks import credited, estimated, leaving
from jaxdiscrete.core.needs import SAMPLER, Needs, check_latents
from jaxdiscrete.core.objective import ObjectiveWithAux, value_of, with_aux
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.sample import RELAXED_SAMPLES, check_not_given, key_of
from jaxdiscrete.core.typing import Estimator, Objective, PyTree

#: ``body(objective, key, q, args) -> (value, aux)``.
Body = Callable[
    [ObjectiveWithAux, jax.Array, PyTree, tuple[Any, ...]], tuple[jax.Array, Any]
]


def estimator(
    name: str,
    f: Objective,
    body: Body,
    *,
    needs: Needs = SAMPLER,
    has_aux: bool = False,
    at: Callable[[jax.Array, PyTree], PyTree] = draw,
    differentiates: bool = False,
    draws_its_own: str | None = None,
    check: Callable[[PyTree, PyTree, tuple[Any, ...]], None] | None = None,
) -> Estimator:
    """Builds an estimator from what is particular to it.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective.
      body: ``(objective, key, q, args) -> (value, aux)``: what draws, evaluates f as
        ``objective(z, *args) -> (value, aux)``, and attaches the gradient.
      needs: what it needs of the distributions in q.
      has_aux: whether f returns ``(value, aux)``, and the estimate then does too.
      at: ``(key, q) -> z``, where f is evaluated; traced for its shapes. Default: a
        hard sample.
      differentiates: whether f must be differentiable in z.
      draws_its_own: where it is no estimator of one hard sample, what to do in place of
        giving it one.
      check: ``(q, shapes of z, args)``, raises where something else does not fit.

    Returns:
      ``estimate(key, q, *args)``. It traces f to check it before any compute, unless
      the body itself is traced first and its derivative in z need not be looked at.
    """
    objective = with_aux(f, has_aux)

    def check_objective(key: jax.Array, q: PyTree, args: tuple[Any, ...]) -> None:
        shapes = jax.eval_shape(lambda k: at(k, freeze(q)), key)
        if check is not None:
            check(freeze(q), shapes, freeze(args))
        if differentiates:
            check_differentiable(name, "f", value_of(objective), shapes, args)
        elif not is_staged():
            jax.eval_shape(lambda z: objective(z, *args)[0], shapes)

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_latents(name, q, needs)
        if draws_its_own is not None:
            check_not_given(name, key, draws_its_own)
        if not is_checking():
            check_key(name, key_of(key))
            with checking():
                check_log_prob(name, freeze(q))
                if differentiates or check is not None or not is_staged():
                    check_objective(key, q, args)
        value, aux = body(objective, key, credited(q), args)
        value = estimated(value)
        if not has_aux:
            return value
        # A relaxed sample carries its derivative with it.
        return value, aux if draws_its_own == RELAXED_SAMPLES else leaving(aux)

    return estimate


def with_path_to(value: jax.Array, q: PyTree) -> jax.Array:
    """``value`` as it depends on q, for a check that follows derivatives.

    Args:
      value: scalar.
      q: pytree of distributions.

    Returns:
      The same scalar, with a gradient of zeros to every array of q.
    """
    leaves = [x for x in jax.tree.leaves(q) if isinstance(x, jax.Array)]
    return attach_gradient(value, leaves, [jnp.zeros_like(x) for x in leaves])
