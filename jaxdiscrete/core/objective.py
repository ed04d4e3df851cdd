"""The objective f: as ``(value, aux)`` for every estimator, checked and evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import check_function, check_real_scalar
from jaxdiscrete.core.latents import freeze, log_prob
from jaxdiscrete.core.precision import in_float32, sum_in_float32
from jaxdiscrete.core.rules import attach_gradient, value_stays_live
from jaxdiscrete.core.scores import scored
from jaxdiscrete.core.typing import Objective, PyTree

#: ``objective(z, *args) -> (value, aux)``: f as the estimators call it.
ObjectiveWithAux = Callable[..., tuple[jax.Array, Any]]


def with_aux(f: Objective, has_aux: bool) -> ObjectiveWithAux:
    """f as a function that always returns ``(value, aux)``, one real scalar first.

    Args:
      f: ``f(z, *args)``.
      has_aux: whether it returns ``(scalar, aux)``.

    Returns:
      ``objective(z, *args) -> (scalar, aux)``, with None as aux where there is none.

    Raises:
      TypeError, ValueError: if f cannot be called; when called, if it returns
        something else.
    """
    check_function("f", f)

    def objective(z: PyTree, *args: Any) -> tuple[jax.Array, Any]:
        out = f(z, *args)
        if not has_aux:
            out = (out, None)
        elif not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(
                "Expected f to return (scalar, aux) with has_aux=True, got "
                f"{type(out).__name__}. Return a pair."
            )
        value, aux = out
        check_real_scalar("f", value)
        return jnp.asarray(value), aux

    return objective


def value_of(objective: ObjectiveWithAux) -> Objective:
    """The objective without its auxiliary output.

    Args:
      objective: as from :func:`with_aux`.

    Returns:
      ``f(z, *args) -> scalar``.
    """
    return lambda z, *args: objective(z, *args)[0]


def value_and_slope(
    objective: ObjectiveWithAux, z: PyTree, args: tuple[Any, ...]
) -> tuple[jax.Array, PyTree, Any]:
    """One evaluation of f: its value, live, its derivative in z, stopped, and aux.

    Args:
      objective: as from :func:`with_aux`, differentiable in z.
      z: one sample.
      args: further arguments of f.

    Returns:
      ``(value, slope, aux)``; the slope has the structure of z.
    """
    with value_stays_live():
        (value, aux), slope = jax.value_and_grad(
            lambda x: objective(x, *args), has_aux=True
        )(z)
    return value, freeze(slope), aux


def as_signal(value: jax.Array) -> jax.Array:
    """The value as a weight of the score: stopped, in at least float32.

    Args:
      value: of f, any shape.

    Returns:
      An array of the same shape.
    """
    return in_float32(freeze(value))


def attach_signal(
    value: jax.Array,
    q: PyTree,
    z: PyTree,
    signal: jax.Array,
) -> jax.Array:
    """``value``, whose gradient to q is ``signal * grad log q(z)``.

    The rule is attached to the scalar log-probability, so a sampler whose weights
    are shared by a batch keeps one copy of their gradient.

    Args:
      value: real scalar.
      q: pytree of distributions, live.
      z: one sample of each.
      signal: real scalar, stopped.

    Returns:
      The scalar ``value``.
    """
    log_q = scored(q, log_prob(q, freeze(z)), signal)
    return attach_gradient(value, [log_q], [signal])


def squared_norm(gradient: PyTree) -> jax.Array:
    """The sum of squares over all leaves.

    Args:
      gradient: pytree of floating arrays.

    Returns:
      A scalar in at least float32.
    """
    squares = [jnp.sum(jnp.square(in_float32(g))) for g in jax.tree.leaves(gradient)]
    return sum_in_float32(squares)
