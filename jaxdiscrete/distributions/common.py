"""Precision, shape checks and enumeration of states for all distributions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

MAX_ENUMERATED = 2**24


def check_floating(name: str, logits: jax.Array) -> None:
    """Raises unless logits are floating numbers, at least one of them."""
    if isinstance(logits, list | tuple):
        raise TypeError(
            f"Expected {name} logits to be an array, got a {type(logits).__name__}. "
            "Use jnp.asarray(logits)."
        )
    if not jnp.issubdtype(jnp.result_type(logits), jnp.floating):
        raise TypeError(
            f"Expected {name} logits of a floating dtype, got "
            f"{jnp.result_type(logits)}. Convert them, for instance with "
            "logits.astype(jnp.float32)."
        )
    if jnp.size(logits) == 0:
        raise ValueError(
            f"Expected {name} logits with at least one entry, got shape "
            f"{jnp.shape(logits)}."
        )


def known_value(x: ArrayLike) -> np.ndarray | None:
    """The value of ``x`` as float64, or None while it is traced."""
    try:
        return np.asarray(x, np.float64)
    except jax.errors.TracerArrayConversionError:
        return None


def check_event(name: str, z: ArrayLike, logits: jax.Array) -> jax.Array:
    """``z`` as an array whose last dimensions are the shape of the logits."""
    z = jnp.asarray(z)
    if z.shape[z.ndim - logits.ndim :] != logits.shape or z.ndim < logits.ndim:
        raise ValueError(
            f"Expected a {name} sample whose last dimensions are {logits.shape}, "
            f"the shape of the logits, got shape {z.shape}. Shapes are never "
            "broadcast: reshape one of them, or use jax.vmap."
        )
    return z


def check_same_shape(name: str, logits: jax.Array, other: jax.Array) -> None:
    """Raises unless two distributions have one shape."""
    if logits.shape != other.shape:
        raise ValueError(
            f"Expected two {name} distributions of one shape, got logits of shapes "
            f"{logits.shape} and {other.shape}."
        )


def joint_states(num_variables: int, num_values: int) -> np.ndarray:
    """All assignments of ``num_variables`` variables, ``[states, variables]``."""
    num_states = num_values**num_variables
    if num_states > MAX_ENUMERATED:
        raise ValueError(
            f"Expected at most {MAX_ENUMERATED} joint states to enumerate, got "
            f"{num_values}**{num_variables}. Enumerate fewer variables at a time, or "
            "use a Monte Carlo estimator."
        )
    index = np.arange(num_states)[:, None]
    place = num_values ** np.arange(num_variables - 1, -1, -1)
    return (index // place) % num_values
