"""Steps that did not happen: nothing of them may reach a value or a derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.rules import pass_gradient_if
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.core.varying import match_varying


def call_if(condition: jax.Array, fn: Callable[..., Any], *args: Any) -> Any:
    """``fn(*args)``; where the condition is False no derivative passes through it.

    Neither to its arguments nor to what it closes over, NaN included: zero times NaN
    would be NaN.
    """
    like = condition.astype(jnp.float32)
    args = jax.tree.map(
        lambda x: match_varying(jnp.asarray(x), like) if _is_floating(x) else x, args
    )
    # A new function, or JAX would reuse what it has converted in another trace.
    converted, closed_over = jax.closure_convert(lambda *xs: fn(*xs), *args)

    def block(x: Any) -> Any:
        return pass_gradient_if(condition, x) if _is_floating(x) else x

    args, closed_over = jax.tree.map(block, (args, closed_over))
    return converted(*args, *closed_over)


def _is_floating(x: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(x), jnp.floating)


def select(condition: jax.Array, a: PyTree, b: PyTree) -> PyTree:
    """``a`` where the condition is True, else ``b``, leaf by leaf."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)
