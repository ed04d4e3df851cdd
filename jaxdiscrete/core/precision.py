"""Computation in at least float32, whatever the dtype of the parameters."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def wide_dtype(*dtypes: Any) -> Any:
    """float64 if any of the dtypes is, else float32.

    Not ``jnp.promote_types``, which refuses to answer under strict promotion.
    """
    return (
        jnp.float64 if jnp.dtype("float64") in map(jnp.dtype, dtypes) else jnp.float32
    )


def wide(x: jax.Array) -> jax.Array:
    """``x`` in at least float32."""
    return x.astype(wide_dtype(x.dtype))


def add_wide(terms: list[jax.Array]) -> jax.Array:
    """The sum of scalars in at least float32; zero for none."""
    dtype = wide_dtype(*(t.dtype for t in terms))
    return sum((t.astype(dtype) for t in terms), jnp.zeros((), dtype))
