"""Samples that were drawn elsewhere: whether they fit q."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.latents import draw, flatten, freeze, log_prob
from jaxdiscrete.core.numbers import known_value
from jaxdiscrete.core.typing import Finite, PyTree


def as_sample(q: PyTree, z: PyTree) -> PyTree:
    """``z``, stopped, in the dtypes of a sample of q.

    Args:
      q: pytree of distributions.
      z: what was recorded.

    Returns:
      A pytree of the structure, shapes and dtypes of a sample of q.

    Raises:
      TypeError: if converting would round.
      ValueError: if z has other shapes, or is known and is no hard sample.
    """
    expected = jax.eval_shape(lambda: draw(jax.random.key(0), q))
    check_shapes(expected, z)
    z = convert(expected, z)
    check_hard(q, z)
    return z


def check_shapes(expected: PyTree, z: PyTree) -> None:
    """Raises unless z has the structure and shapes of what a sample looks like."""
    shapes, got = _shapes(expected), _shapes(z)
    if shapes != got:
        raise ValueError(
            f"Expected a given z of the shapes of a sample of q, {shapes}, got {got}. "
            "Nothing is broadcast: use jax.vmap."
        )


def _shapes(tree: PyTree) -> str:
    leaves, treedef = jax.tree.flatten(tree)
    return f"{treedef} of {[jnp.shape(x) for x in leaves]}"


def convert(expected: PyTree, z: PyTree) -> PyTree:
    """``z``, stopped, in the dtypes of what a sample looks like."""

    def one(x: ArrayLike, like: Any) -> jax.Array:
        x = jnp.asarray(x)
        rounds = jnp.issubdtype(x.dtype, jnp.floating)
        if rounds and not jnp.issubdtype(like.dtype, jnp.floating):
            raise TypeError(
                f"Expected a given z of the dtype of a sample of q, {like.dtype}, got "
                f"{x.dtype}. Convert it where it is recorded."
            )
        return jax.lax.stop_gradient(x.astype(like.dtype))

    return jax.tree.map(one, z, expected)


def check_hard(q: PyTree, z: PyTree, num_axes: int = 0) -> None:
    """Raises where a value is known and is that of no class.

    Args:
      q: pytree of distributions.
      z: the sample, in the dtypes of one, with ``num_axes`` leading axes of several.
      num_axes: how many.
    """
    leaves, treedef = flatten(freeze(q))
    for d, value in zip(leaves, treedef.flatten_up_to(z), strict=True):
        if not isinstance(d, Finite):
            continue

        def nearest(x: jax.Array, d: Finite = d) -> jax.Array:
            return d.from_classes(d.to_classes(x))

        for _ in range(num_axes):
            nearest = jax.vmap(nearest)
        given, hard = known_value(value), known_value(nearest(jnp.asarray(value)))
        if given is None or hard is None:
            continue
        if not np.all((given == hard) | np.isnan(hard)):
            raise ValueError(
                "Expected a given z that is a hard sample of q, got values that are "
                f"none of {type(d).__name__}. A relaxed sample has no probability "
                "here: pass the decision that was taken."
            )


def check_possible(q: PyTree, z: PyTree, weight: ArrayLike | None) -> None:
    """Raises where z is known and impossible under q, and its weight is not zero."""
    known = known_value(log_prob(freeze(q), z))
    known_weight = known_value(1.0 if weight is None else weight)
    if known is None or known_weight is None:
        return
    if known == -np.inf and known_weight != 0.0:
        raise ValueError(
            "Expected a given z that is possible under q, got one of probability zero. "
            "A masked class cannot have been drawn from this q; one that another "
            "policy has drawn has a jaxdiscrete.importance_weight of zero."
        )
