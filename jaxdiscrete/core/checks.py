"""Checks that run before any compute: expected, got, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.dataflow import derivative_paths
from jaxdiscrete.core.latents import is_array, is_single_leaf
from jaxdiscrete.core.typing import PyTree

_DIFFERENTIABLE_REMEDY = (
    "Write f without rounding, comparisons, integer casts or stop_gradient on z, or "
    "use jaxdiscrete.reinforce_loo or jaxdiscrete.nvil, which never differentiate f."
)


def check_scalar(
    what: str, fn: Callable[..., Any], x: PyTree, args: Sequence[Any]
) -> None:
    """Raises unless ``fn(x, *args)`` is one real floating scalar, without computing.

    Args:
      what: what the user calls the function.
      fn: the function.
      x: its first argument, or the shapes and dtypes of it.
      args: its other arguments.
    """
    check_real_scalar(what, jax.eval_shape(lambda y: fn(y, *args), x))


def check_real_scalar(what: str, out: Any) -> None:
    """Raises unless what a function returned is one real floating scalar."""
    is_number = is_single_leaf(out) and isinstance(
        out, jax.Array | jax.ShapeDtypeStruct | np.ndarray | np.generic | int | float
    )
    if not is_number:
        raise TypeError(
            f"Expected {what} to return one real scalar, got {_describe(out)}. Return "
            "an array of shape (), or pass has_aux=True for (scalar, aux)."
        )
    shape, dtype = jnp.shape(out), jnp.result_type(out)
    if shape != ():
        raise ValueError(
            f"Expected {what} to return one real scalar, got shape {shape}. "
            "Sum or average inside it; batch the estimate with jax.vmap."
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"Expected {what} to return one real scalar of a floating dtype, got "
            f"{dtype}. Convert it, for instance with .astype(jnp.float32)."
        )


def _describe(out: Any) -> str:
    def one(x: Any) -> Any:
        if hasattr(x, "shape") and hasattr(x, "dtype"):
            return x.shape, str(x.dtype)
        return type(x).__name__

    return str(jax.tree.map(one, out))


def check_differentiable(
    name: str, what: str, f: Callable[..., Any], z: PyTree, args: Sequence[Any]
) -> None:
    """Raises where f uses a latent but its derivative there is zero by construction.

    It looks at whole leaves of z: f that rounds one coordinate and not another passes.

    Args:
      name: the estimator, for the message.
      what: what the user calls the function.
      f: ``f(z, *args) -> scalar``.
      z: shapes and dtypes of a sample.
      args: the other arguments of ``f``.
    """
    try:
        paths = derivative_paths(f, z, args)
    except ValueError as error:
        if "callbacks do not support JVP" not in str(error):
            raise
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to be differentiable in z, got a "
            "function that calls Python (jaxdiscrete.black_box, jax.pure_callback), "
            f"through which JAX has no derivative. {_DIFFERENTIABLE_REMEDY}"
        ) from error
    if any(used and not path for used, path in paths):
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to be differentiable in z, got a "
            "function whose derivative is zero by construction: what it contributes "
            f"would silently vanish. {_DIFFERENTIABLE_REMEDY}"
        )


def check_parameters(name: str, what: str, parameters: PyTree) -> None:
    """Raises unless a pytree holds real floating arrays and nothing else.

    Args:
      name: the function, for the message.
      what: what the user calls the pytree.
      parameters: what a gradient is taken with respect to.
    """
    leaves = jax.tree.leaves(parameters)
    if not leaves:
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to hold at least one array, got an "
            f"empty pytree {parameters!r}."
        )
    for x in leaves:
        got = str(x.dtype) if is_array(x) else type(x).__name__
        is_floating = is_array(x) and jnp.issubdtype(x.dtype, jnp.floating)
        if not is_floating and not isinstance(x, float):
            raise TypeError(
                f"Expected {what} of jaxdiscrete.{name} to be a pytree of floating "
                f"arrays, got {got}. Pass what has no gradient in args, and register "
                "a class of your own with jax.tree_util.register_dataclass."
            )


def check_args_are_arrays(what: str, args: Sequence[Any]) -> None:
    """Raises where an argument hides arrays whose gradient cannot be stopped."""
    for leaf in jax.tree.leaves(args):
        if not is_array(leaf) and not isinstance(leaf, bool | int | float | str):
            raise TypeError(
                f"Expected args that are arrays or pytrees of arrays, since the {what} "
                f"reads them stopped, got {type(leaf).__name__}, which may hide arrays "
                "that cannot be. Pass a jax.tree_util.Partial or a registered pytree, "
                "or let f close over it."
            )


def check_temperature(temperature: PyTree, what: str = "temperature") -> None:
    """Raises where a temperature is known and not positive."""
    remedy = (
        "Parametrise a trained temperature by its logarithm: "
        f"{what}=jnp.exp(log_temperature)."
    )
    check_positive(what, temperature, remedy)


def check_positive(what: str, value: PyTree, remedy: str) -> None:
    """Raises where a number is known and not positive."""
    for t in jax.tree.leaves(value):
        try:
            known = np.asarray(t, np.float64)
        except jax.errors.TracerArrayConversionError:
            continue
        if not np.all(known > 0):
            raise ValueError(f"Expected {what} > 0, got {t}. {remedy}")


def check_count(name: str, what: str, count: int, at_least: int, remedy: str) -> None:
    """Raises unless ``count`` is a large enough static integer."""
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
