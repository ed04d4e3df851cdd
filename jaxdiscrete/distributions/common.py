"""Precision, shape checks and enumeration of states for all distributions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.latents import is_array
from jaxdiscrete.core.numbers import known_value

MAX_ENUMERATED = 2**24


def check_logits(name: str, logits: jax.Array) -> None:
    """Raises unless logits are floating numbers, at least one, none known as NaN."""
    if not is_array(logits) and not isinstance(logits, int | float):
        raise TypeError(
            f"Expected {name} logits to be an array, got {type(logits).__name__}. "
            "Use jnp.asarray(logits)."
        )
    dtype = logits.dtype if is_array(logits) else jnp.result_type(logits)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"Expected {name} logits of a floating dtype, got {dtype}. Convert them, "
            "for instance with logits.astype(jnp.float32)."
        )
    if jnp.size(logits) == 0:
        raise ValueError(
            f"Expected {name} logits with at least one entry, got shape "
            f"{jnp.shape(logits)}."
        )
    known = known_value(logits)
    if known is not None and np.isnan(known).any():
        raise ValueError(
            f"Expected {name} logits that are numbers, got NaN. Find out where it "
            "comes from: a mask is -inf."
        )


def check_below_infinity(name: str, logits: jax.Array) -> None:
    """Raises where a logit among several is known and +inf."""
    known = known_value(logits)
    if known is not None and np.isposinf(known).any():
        raise ValueError(
            f"Expected {name} logits below +inf, got +inf, which has no softmax. Mask "
            "the other classes by -inf."
        )


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


def joint_states(num_variables: int, num_values: int) -> jax.Array:
    """All assignments of ``num_variables`` variables, int32 ``[states, variables]``.

    They are computed where they are needed: as a constant of a compiled program they
    would be part of it.
    """
    num_states = num_values**num_variables
    if num_states > MAX_ENUMERATED:
        raise ValueError(
            f"Expected at most {MAX_ENUMERATED} joint states to enumerate, got "
            f"{num_values}**{num_variables}. Enumerate fewer variables at a time, or "
            "use a Monte Carlo estimator."
        )
    index = jnp.arange(num_states, dtype=jnp.int32)[:, None]
    place = num_values ** np.arange(num_variables - 1, -1, -1, dtype=np.int32)
    return quotient_and_rest(quotient_and_rest(index, place[None])[0], num_values)[1]


def quotient_and_rest(x: jax.Array, n: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """``x // n`` and ``x % n`` of integers that are not negative.

    Those of jax.numpy allow for signs, in a dozen operations each.

    Args:
      x: integers.
      n: positive integers, which broadcast against ``x``.

    Returns:
      Two arrays of the dtype of ``x``.
    """
    x, n = jnp.broadcast_arrays(x, jnp.asarray(n, x.dtype))
    return jax.lax.div(x, n), jax.lax.rem(x, n)
