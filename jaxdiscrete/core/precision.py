"""Computation in at least float32, whatever the dtype of the parameters."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def at_least_float32(*dtypes: Any) -> Any:
    """float64 if any of the dtypes is, else float32.

    Not ``jnp.promote_types``, which refuses to answer under strict promotion.
    """
    return (
        jnp.float64 if jnp.dtype("float64") in map(jnp.dtype, dtypes) else jnp.float32
    )


def in_float32(x: jax.Array) -> jax.Array:
    """``x`` in at least float32.

    Args:
      x: floating array.

    Returns:
      Array of the same shape.
    """
    return x.astype(at_least_float32(x.dtype))


def sum_in_float32(terms: list[jax.Array]) -> jax.Array:
    """The sum of scalars.

    Args:
      terms: floating scalars, or none.

    Returns:
      A scalar in at least float32; zero for none.
    """
    dtype = at_least_float32(*(t.dtype for t in terms))
    first, *others = [t.astype(dtype) for t in terms] or [jnp.zeros((), dtype)]
    return sum(others, first)


def weighted_sum(weights: jax.Array, x: jax.Array) -> jax.Array:
    """The sum of ``weights * x`` over the leading axis, in the dtype of ``x``.

    By products and a sum: the precision of a matrix product depends on the device.

    Args:
      weights: ``[n, ...]``, of the first axes of ``x``.
      x: ``[n, ...]``.

    Returns:
      ``[...]``.
    """
    extra = (1,) * (x.ndim - weights.ndim)
    return jnp.sum(weights.astype(x.dtype).reshape(weights.shape + extra) * x, axis=0)
