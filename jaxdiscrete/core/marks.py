"""Marks in a program, for who follows how its values depend on one another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.typing import ArrayLike

from jaxdiscrete.core.rules import on_the_value
from jaxdiscrete.core.typing import PyTree

#: The name of the call in a program through which aux leaves an estimator.
LEFT_THROUGH_AUX = "jaxdiscrete_left_through_aux"
#: The name of the call through which parameters enter an estimator, which credits them
#: for what its hard samples cause.
CREDITED = "jaxdiscrete_credited"
#: The name of the call through which the value of an estimate leaves its estimator.
ESTIMATE = "jaxdiscrete_estimate"
#: The name of the call through which the library stops what it accounts for.
FROZEN = "jaxdiscrete_frozen"

# A context of JAX, so that a jitted loss is traced anew where it is followed.
_is_followed = jax.make_user_context(False)


@contextlib.contextmanager
def marks_are_made() -> Iterator[None]:
    """Programs traced inside show where estimators begin and end."""
    with _is_followed(True):
        yield


@contextlib.contextmanager
def no_marks_are_made() -> Iterator[None]:
    """Programs traced inside are followed by someone else, for another purpose."""
    with _is_followed(False):
        yield


def leaving(aux: PyTree) -> PyTree:
    """``aux``, which gets no credit for what happens to it from here on.

    Args:
      aux: pytree.

    Returns:
      The same, marked where a program is followed.
    """
    if not _is_followed.value:
        return aux
    mark = _called(LEFT_THROUGH_AUX, lambda x: x)
    return jax.tree.map(lambda x: mark(x) if isinstance(x, jax.Array) else x, aux)


def credited(q: PyTree) -> PyTree:
    """``q``, as who follows the program meets it inside an estimator.

    Args:
      q: pytree of distributions.

    Returns:
      The same, marked where a program is followed.
    """
    return jax.tree.map(lambda x: _marked(CREDITED, x), q)


def estimated(value: jax.Array) -> jax.Array:
    """``value``, of which only linear functions have the mean that they seem to.

    Args:
      value: scalar, of an estimate.

    Returns:
      The same, marked where a program is followed.
    """
    return _marked(ESTIMATE, value)


def frozen(x: ArrayLike) -> Any:
    """``x`` without its gradient, which the library stops where it accounts for it.

    Args:
      x: an array.

    Returns:
      The same, stopped, and marked where a program is followed.
    """
    if not _is_followed.value:
        return jax.lax.stop_gradient(x)
    return _called(FROZEN, jax.lax.stop_gradient)(x)


def _marked(name: str, x: Any) -> Any:
    if not _is_followed.value or not isinstance(x, jax.Array):
        return x
    return on_the_value(_called(name, lambda x: x))(x)


def _called(name: str, fn: Callable[[Any], jax.Array]) -> Callable[[Any], jax.Array]:
    def call(x: Any) -> jax.Array:
        return fn(x)

    call.__name__ = name
    return jax.jit(call)
