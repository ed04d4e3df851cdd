"""Checks that run before any compute: expected, got, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.cuts import way_of
from jaxdiscrete.core.dataflow import derivative_paths
from jaxdiscrete.core.latents import draw, is_array, is_single_leaf, latents
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.core.ways import CALLBACK

_DIFFERENTIABLE_REMEDY = (
    "Write f without rounding, comparisons, integer casts or stop_gradient on z, or "
    "use jaxdiscrete.reinforce_loo or jaxdiscrete.nvil, which never differentiate f."
)


def check_function(what: str, fn: Any) -> None:
    """Raises unless ``fn`` can be called.

    Args:
      what: what the user calls the function.
      fn: what was given for it.

    Raises:
      TypeError: if it is no function.
    """
    if not callable(fn):
        raise TypeError(
            f"Expected {what} to be a function, got {type(fn).__name__}. Pass the "
            "function itself, not what it returns."
        )


def check_key(name: str, key: Any) -> None:
    """Raises unless ``key`` is one PRNG key, typed or raw.

    Args:
      name: the estimator, for the message.
      key: the first argument of its estimate.

    Raises:
      TypeError: if it is no key, or several.
    """
    remedy = "Make one with jax.random.key(0); batch the estimate with jax.vmap."
    if not is_array(key):
        raise TypeError(
            f"Expected the first argument of a jaxdiscrete.{name} estimate to be a "
            f"PRNG key, got {type(key).__name__}. {remedy}"
        )
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        is_one = key.shape == ()
    else:
        is_one = key.dtype == jnp.uint32 and key.ndim == 1
    if not is_one:
        raise TypeError(
            f"Expected the first argument of a jaxdiscrete.{name} estimate to be one "
            f"PRNG key, got an array of shape {key.shape} and dtype {key.dtype}. "
            f"{remedy}"
        )


#: What functions that call Python say when their derivative is asked for.
_NO_DERIVATIVE = (
    "callbacks do not support JVP",
    "no derivative of a jaxdiscrete.black_box",
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

    Raises:
      TypeError, ValueError: as :func:`check_real_scalar`.
    """
    check_real_scalar(what, jax.eval_shape(lambda y: fn(y, *args), x))


def check_real_scalar(what: str, out: Any) -> None:
    """Raises unless what a function returned is one real floating scalar.

    Args:
      what: what the user calls the function.
      out: its result, or the shapes and dtypes of it.

    Raises:
      TypeError: if it is no single array or number, or not of a floating dtype.
      ValueError: if it has a shape.
    """
    is_number = is_single_leaf(out) and isinstance(
        out, jax.Array | jax.ShapeDtypeStruct | np.ndarray | np.generic | int | float
    )
    if not is_number:
        also = ", or pass has_aux=True for (scalar, aux)" if what == "f" else ""
        raise TypeError(
            f"Expected {what} to return one real scalar, got {_describe(out)}. Return "
            f"an array of shape (){also}."
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
    """Raises where part of what f makes of z has a derivative of zero by construction.

    Args:
      name: the estimator, for the message.
      what: what the user calls the function.
      f: ``f(z, *args) -> scalar``.
      z: shapes and dtypes of a sample.
      args: the other arguments of ``f``.

    Raises:
      TypeError: if f depends on z on a way without a derivative, or calls Python.
    """
    cut, cause = CALLBACK, None
    try:
        cut = way_of(f, z, args).cut
    except (TypeError, ValueError) as error:
        if not any(text in str(error) for text in _NO_DERIVATIVE):
            raise
        cause = error
    if cut == CALLBACK:
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to be differentiable in z, got a "
            "function that calls Python (jaxdiscrete.black_box, jax.pure_callback), "
            f"through which JAX has no derivative. {_DIFFERENTIABLE_REMEDY}"
        ) from cause
    if cut:
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to be differentiable in z, got a "
            f"function that depends on z through {cut}, whose derivative is zero by "
            "construction: what it contributes would silently vanish. "
            f"{_DIFFERENTIABLE_REMEDY}"
        )


def check_log_prob(name: str, q: PyTree) -> None:
    """Raises where a distribution's log_prob is no real number, or leads nowhere.

    It is traced on fresh parameters, so that a q that the caller has stopped passes. A
    distribution with a ``validate`` of its own vouches for its log_prob.

    Args:
      name: the estimator, for the message.
      q: pytree of distributions, frozen.

    Raises:
      TypeError: if log_prob returns anything but real numbers, or if no derivative of
        it reaches any parameter.
    """
    for d in latents(q):
        if not hasattr(d, "validate"):
            _check_log_prob(name, d)


def _check_log_prob(name: str, d: Any) -> None:
    leaves, treedef = jax.tree.flatten(d)
    is_floating = [
        is_array(x) and jnp.issubdtype(x.dtype, jnp.floating) for x in leaves
    ]
    parameters = [x for x, yes in zip(leaves, is_floating, strict=True) if yes]

    def log_prob(parameters: list[jax.Array]) -> jax.Array:
        rest = iter(parameters)
        merged = [
            next(rest) if yes else x for x, yes in zip(leaves, is_floating, strict=True)
        ]
        copy = jax.tree.unflatten(treedef, merged)
        return _sum_of_log_prob(name, copy, draw(jax.random.key(0), copy))

    paths = derivative_paths(log_prob, parameters, ())
    if paths and not any(path.has_path for path in paths):
        raise TypeError(
            f"Expected log_prob of {type(d).__name__} in jaxdiscrete.{name} to depend "
            "on the parameters, got a function whose derivative is zero by "
            "construction: the gradient would be zero. Compute it from the parameters "
            "without rounding, integers or stop_gradient."
        )


def _sum_of_log_prob(name: str, d: Any, z: PyTree) -> jax.Array:
    out = d.log_prob(z)
    is_real = is_array(out) and jnp.issubdtype(out.dtype, jnp.floating)
    if not is_real and not isinstance(out, float):
        got = str(out.dtype) if is_array(out) else type(out).__name__
        raise TypeError(
            f"Expected log_prob of {type(d).__name__} in jaxdiscrete.{name} to return "
            f"real floating numbers, got {got}. Return an array of logarithms."
        )
    return jnp.sum(jnp.asarray(out))


def check_parameters(name: str, what: str, parameters: PyTree) -> None:
    """Raises unless a pytree holds real floating arrays and nothing else.

    Args:
      name: the function, for the message.
      what: what the user calls the pytree.
      parameters: what a gradient is taken with respect to.

    Raises:
      TypeError: if it is empty, or holds anything else.
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
    """Raises where an argument hides arrays whose gradient cannot be stopped.

    Args:
      what: what reads the arguments stopped, for the message.
      args: the arguments of an estimate behind q.

    Raises:
      TypeError: if a leaf is neither an array nor a number, a truth value or a text.
    """
    for leaf in jax.tree.leaves(args):
        if not is_array(leaf) and not isinstance(leaf, bool | int | float | str):
            raise TypeError(
                f"Expected args that are arrays or pytrees of arrays, since the {what} "
                f"reads them stopped, got {type(leaf).__name__}, which may hide arrays "
                "that cannot be. Pass a jax.tree_util.Partial or a registered pytree, "
                "or let f close over it."
            )
