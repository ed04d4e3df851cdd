"""The credit of decisions: from the costs of the steps to their signals."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

#: ``credit(costs) -> signals``, both ``[time]``: stopped costs, already discounted.
Credit = Callable[[jax.Array], jax.Array]


def cost_to_go(costs: jax.Array) -> jax.Array:
    """The costs from each step on, which are all that the step can still change.

    The default of :func:`sequential`. Unbiased.

    Args:
      costs: ``[time]``, of single steps.

    Returns:
      ``[time]``.

    Example:
      >>> print(jd.cost_to_go(jnp.array([1.0, 0.0, 2.0])))
      [3. 2. 2.]
    """
    return jnp.cumsum(costs[::-1])[::-1]


def whole_sequence(costs: jax.Array) -> jax.Array:
    """The sum of all costs for every step, also of those before it.

    Unbiased, with more variance than :func:`cost_to_go`.

    Args:
      costs: ``[time]``, of single steps.

    Returns:
      ``[time]``.

    Example:
      >>> print(jd.whole_sequence(jnp.array([1.0, 0.0, 2.0])))
      [3. 3. 3.]
    """
    return jnp.broadcast_to(costs.sum(), costs.shape)


def discounts(discount: ArrayLike, num_steps: int, dtype: jnp.dtype) -> jax.Array:
    """The weights ``discount ** t`` of the steps, ``[time]``."""
    powers = jnp.arange(num_steps, dtype=dtype)
    # JAX has no derivative of 0 ** 0, which is a constant here.
    later = jnp.asarray(discount).astype(dtype) ** jnp.maximum(powers, 1.0)
    return jnp.where(powers == 0.0, 1.0, later)


def check_along_time(
    what: str,
    fn: Callable[[jax.Array], jax.Array],
    like: jax.Array | jax.ShapeDtypeStruct,
) -> None:
    """Raises unless a function gives one number for every step, without computing.

    Args:
      what: what the user calls the function.
      fn: of an array ``[time]``, such as :data:`Credit`.
      like: its argument, or the shape and dtype of it.
    """
    shape = jax.ShapeDtypeStruct(like.shape, like.dtype)
    out = jax.eval_shape(fn, shape)
    got = "no array"
    if isinstance(out, jax.ShapeDtypeStruct):
        got = f"shape {out.shape} of {out.dtype}"
        if out.shape == like.shape and jnp.issubdtype(out.dtype, jnp.floating):
            return
    raise ValueError(
        f"Expected {what} to return one real number per step, of shape {like.shape}, "
        f"got {got}. Nothing is broadcast: give every step its own."
    )
