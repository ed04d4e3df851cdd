"""Plain Python functions as objectives, under ``jit`` and ``vmap``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxdiscrete.core.latents import is_array
from jaxdiscrete.core.rules import refuse_gradient
from jaxdiscrete.core.typing import Objective, Shape

_NO_DERIVATIVE = (
    "Expected no derivative of a jaxdiscrete.black_box, into which JAX does not "
    "see, got one in its arguments. Pass arrays that need none through "
    "jax.lax.stop_gradient, and compute what needs one outside of fn. An estimator "
    "that differentiates f in z cannot take it: use jaxdiscrete.reinforce_loo or "
    "jaxdiscrete.nvil."
)


def black_box(
    fn: Callable[..., Any], *, batched: bool = False, dtype: DTypeLike = jnp.float32
) -> Objective:
    """An objective from a plain Python or NumPy function, which JAX never looks into.

    A simulator, a reward from a server, a metric of another library: ``fn`` receives
    NumPy arrays, for the sample and for each array among the args, and runs on the
    host whenever the objective is evaluated. One sample at a time, or, with
    ``batched=True``, all samples of the surrounding :func:`jax.vmap` in one call.
    :func:`reinforce_loo` with ``num_samples=K`` then makes one call with K samples.

    The objective has no derivative. Estimators that differentiate f in z refuse it,
    and a derivative in the args is an error, never a zero. Arrays that need none
    go through :func:`jax.lax.stop_gradient`.

    ``fn`` must not call JAX, whose threads may be waiting for it, and should depend
    on its arguments alone: JAX may drop a call whose result is not used, or repeat one
    in ``jax.checkpoint``.

    Args:
      fn: ``fn(z, *args) -> number`` for one sample. With ``batched=True``
        ``fn(zs, *args) -> [batch]``: every array arrives with one leading axis, also
        one that all samples share (repeated in a read-only view, without a copy,
        unless vmaps are nested); the axes of nested vmaps are flattened into one, and
        without vmap its length is 1. PRNG keys arrive as their uint32 data; leaves of
        args that are no arrays (Python numbers, strings, functions) pass as they are.
      batched: whether ``fn`` takes a batch. Default: one sample.
      dtype: floating dtype of the result, into which what fn returns (integers and
        floats of any precision) is converted. Default: float32.

    Returns:
      ``f(z, *args) -> scalar``, an objective for every estimator that need not
      differentiate f in z.

    Raises:
      TypeError: if ``dtype`` is not floating, or float64 without x64 enabled.
      RuntimeError: when the result is computed, with the message of what
        ``fn`` raised; or if it did not return real numbers, one per sample.

    Example:
      >>> def longest_run(z):  # NumPy and Python control flow
      ...     best = run = 0
      ...     for bit in z:
      ...         run = run + 1 if bit else 0
      ...         best = max(best, run)
      ...     return best
      >>> estimate = jd.reinforce_loo(jd.black_box(longest_run), num_samples=500)
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> grads = jax.jit(jax.grad(estimate, 1))(jax.random.key(0), q)
      >>> print(np.asarray(grads.logits).round(1))  # 3/16, 5/16, 3/16
      [0.2 0.3 0.2]
    """
    dtype = jnp.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"Expected a floating dtype in jaxdiscrete.black_box, got {dtype}. The "
            "value of an objective is a real number: use jnp.float32."
        )
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise TypeError(
            f"Expected a dtype that is enabled in jaxdiscrete.black_box, got {dtype}. "
            'Call jax.config.update("jax_enable_x64", True) first, or use jnp.float32.'
        )

    def objective(z: Any, *args: Any) -> jax.Array:
        leaves, treedef = jax.tree.flatten((z, args))
        is_given = [is_array(x) for x in leaves]
        arrays = [
            _numbers_of(x) for x, yes in zip(leaves, is_given, strict=True) if yes
        ]
        ranks = [np.ndim(x) for x in arrays]

        def call(values: list[np.ndarray]) -> Any:
            rest = iter(values)
            merged = [
                next(rest) if yes else x
                for x, yes in zip(leaves, is_given, strict=True)
            ]
            inputs, more = jax.tree.unflatten(treedef, merged)
            return fn(inputs, *more)

        def one(*values: jax.Array) -> np.ndarray:
            return _as_numbers(call([np.asarray(x) for x in values]), (), dtype)

        def many(*values: jax.Array) -> np.ndarray:
            rows, batch_shape = _with_batch_axis([np.asarray(x) for x in values], ranks)
            size = math.prod(batch_shape)
            return _as_numbers(call(rows), (size,), dtype).reshape(batch_shape)

        return jax.pure_callback(
            many if batched else one,
            jax.ShapeDtypeStruct((), dtype),
            *(refuse_gradient(x, _NO_DERIVATIVE) for x in arrays),
            vmap_method="expand_dims" if batched else "sequential",
        )

    return objective


def _numbers_of(x: Any) -> Any:
    is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(x) if is_key else x


def _with_batch_axis(
    values: list[np.ndarray], ranks: list[int]
) -> tuple[list[np.ndarray], Shape]:
    """One batch axis for all arrays, and the axes that were flattened into it.

    Args:
      values: arrays with one leading axis per vmap, of length 1 where not mapped.
      ranks: their ranks without those axes.
    """
    leading = [x.shape[: x.ndim - n] for x, n in zip(values, ranks, strict=True)]
    batch_shape = np.broadcast_shapes(*leading)
    size = math.prod(batch_shape)
    rows = []
    for x, axes in zip(values, leading, strict=True):
        event = x.shape[len(axes) :]
        rows.append(np.broadcast_to(x, batch_shape + event).reshape(size, *event))
    return rows, batch_shape


def _as_numbers(value: Any, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """The function's result, checked, in the dtype that JAX was told."""
    result = np.asarray(value)
    expected = "one real number" if shape == () else f"an array of shape {shape}"
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    if not any(jnp.issubdtype(result.dtype, kind) for kind in kinds):
        got = f"dtype {result.dtype}" if result.dtype != object else repr(value)
        raise TypeError(
            f"Expected fn of jaxdiscrete.black_box to return {expected} of a real "
            f"dtype, got {got}. Return Python or NumPy numbers."
        )
    if result.shape != shape:
        raise ValueError(
            f"Expected fn of jaxdiscrete.black_box to return {expected}, got shape "
            f"{result.shape}. "
            + (
                "Reduce it inside fn, or pass batched=True to a function of a batch."
                if shape == ()
                else "With batched=True it returns one number per sample."
            )
        )
    return result.astype(dtype)
