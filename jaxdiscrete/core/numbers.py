"""Numbers that users pass: refused before any compute where known and wrong."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.typing import PyTree


def known_value(x: ArrayLike) -> np.ndarray | None:
    """The value of ``x`` as float64, or None while it is traced.

    Args:
      x: a number or an array.

    Returns:
      An array of the shape of ``x``.
    """
    # The text of the error walks through the whole program that is traced: asking first
    # keeps tracing linear in the number of estimators.
    if isinstance(x, jax.core.Tracer):
        return None
    try:
        return np.asarray(x, np.float64)
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
        return None


def check_number(what: str, x: Any) -> None:
    """Raises unless ``x`` is a number or an array of them; a bool is none.

    Args:
      what: what the user calls it.
      x: what was given.

    Raises:
      TypeError: otherwise.
    """
    is_number = isinstance(x, int | float | np.ndarray | np.generic | jax.Array)
    if is_number and jnp.issubdtype(jnp.result_type(x), jnp.number):
        return
    got = str(x.dtype) if hasattr(x, "dtype") else type(x).__name__
    raise TypeError(
        f"Expected {what} to be a number or an array of numbers, got {got}. Convert "
        "it, for instance with jnp.asarray(x, jnp.float32)."
    )


def check_finite(what: str, value: PyTree) -> None:
    """Raises where a number is known and NaN or infinite.

    Args:
      what: what the user calls it.
      value: pytree of numbers and arrays.

    Raises:
      TypeError: if an entry is no number.
      ValueError: if one is known and not finite.
    """
    for x in jax.tree.leaves(value):
        check_number(what, x)
        known = known_value(x)
        if known is not None and not np.isfinite(known).all():
            raise ValueError(
                f"Expected {what} to be finite, got {x}. The gradient of every "
                "parameter would be lost: find out where it comes from."
            )


def check_positive(what: str, value: PyTree, remedy: str) -> None:
    """Raises where a number is known and not positive.

    Args:
      what: what the user calls it.
      value: pytree of numbers and arrays.
      remedy: how to get a positive one.

    Raises:
      TypeError: if an entry is no number.
      ValueError: if one is known and not positive.
    """
    for x in jax.tree.leaves(value):
        check_number(what, x)
        known = known_value(x)
        if known is not None and not np.all(known > 0):
            raise ValueError(f"Expected {what} > 0, got {x}. {remedy}")


def positive_temperature(temperature: PyTree, what: str = "temperature") -> PyTree:
    """The temperature, with NaN where it is traced and turns out to be none.

    Relaxed samples at a negative temperature are numbers that look right, and at an
    infinite one their gradients are zero.

    Args:
      temperature: a number, an array, or a pytree of them.
      what: what the user calls it. Default: temperature.

    Returns:
      A pytree of the same structure and shapes.

    Raises:
      TypeError, ValueError: where it is known and not a positive, finite number.
    """
    remedy = (
        "Parametrise a trained temperature by its logarithm: "
        f"{what}=jnp.exp(log_temperature)."
    )
    check_positive(what, temperature, remedy)
    check_finite(what, temperature)

    def one(t: ArrayLike) -> ArrayLike:
        if known_value(t) is not None:
            return t
        is_usable = (jnp.asarray(t) > 0) & (jnp.asarray(t) < jnp.inf)
        return jnp.where(is_usable, t, jnp.nan)

    return jax.tree.map(one, temperature)


def check_count(name: str, what: str, count: int, at_least: int, remedy: str) -> None:
    """Raises unless ``count`` is a large enough static integer.

    Args:
      name: the function, for the message.
      what: what the user calls the number.
      count: what was given.
      at_least: the least number that is allowed.
      remedy: what to do with fewer.

    Raises:
      TypeError: if it is no Python integer.
      ValueError: if it is too small.
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to be a Python int, got "
            f"{type(count).__name__}. It is a shape, so it cannot be traced."
        )
    if count < at_least:
        raise ValueError(
            f"Expected {what} >= {at_least} in jaxdiscrete.{name}, got {count}. "
            f"{remedy}"
        )
