"""Many gradients of an estimate: chunks on the device, moments on the host."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdiscrete.core.checks import check_scalar
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.programs import outputs_reached_from
from jaxdiscrete.core.typing import Estimator, PyTree

#: What float32 may change in a mean, relative to the largest gradient.
ROUNDING = 1e-6

#: ``keys -> leaves``: one gradient per key, every leaf with a leading axis of keys.
Program = Callable[[jax.Array], list[jax.Array]]


class Moments(NamedTuple):
    """Count, mean and squared deviations of rows, by coordinate, in float64."""

    num_rows: int
    mean: np.ndarray
    squares: np.ndarray
    largest: float

    @property
    def variance(self) -> np.ndarray:
        """The variance of one row, unbiased."""
        return self.squares / (self.num_rows - 1)

    @property
    def standard_error(self) -> np.ndarray:
        """The standard error of the mean."""
        return np.sqrt(self.variance / self.num_rows)

    @property
    def rounding(self) -> float:
        """The distance by which float32 rows may move the mean."""
        return ROUNDING * self.largest


NO_MOMENTS = Moments(0, np.zeros(()), np.zeros(()), 0.0)


def merge(moments: Moments, rows: np.ndarray) -> Moments:
    """The moments of earlier rows and of more, by the formula of Chan et al.

    Args:
      moments: of the earlier rows.
      rows: ``[rows, coordinates]``, float64.

    Returns:
      The moments of all. Nothing large is subtracted from anything large.
    """
    mean = rows.mean(axis=0)
    count = moments.num_rows + len(rows)
    shift = mean - moments.mean
    return Moments(
        count,
        moments.mean + shift * (len(rows) / count),
        moments.squares
        + np.square(rows - mean).sum(axis=0)
        + np.square(shift) * (moments.num_rows * len(rows) / count),
        max(moments.largest, float(np.abs(rows).max(initial=0.0))),
    )


def check_call(
    what: str, fn: Any, form: str, args: tuple[Any, ...], remedy: str
) -> None:
    """Raises unless a function takes such arguments.

    Args:
      what: what the user calls the function.
      fn: what the user gave.
      form: how it is called, for the message.
      args: the arguments.
      remedy: what to pass instead.
    """
    problem = None
    if not callable(fn):
        problem = type(fn).__name__
    else:
        try:
            inspect.signature(fn).bind(*args)
        except TypeError as error:
            problem = f"a function that cannot be ({error})"
        except ValueError:
            pass  # some builtins do not tell
    if problem is not None:
        raise TypeError(
            f"Expected {what} to be called as {form}, got {problem}. {remedy}"
        )


def check_estimate(
    name: str,
    what: str,
    estimate: Any,
    key: jax.Array,
    q: PyTree,
    args: Any,
    remedy: str = "Pass an estimate, for instance jaxdiscrete.reinforce(f).",
) -> Estimator:
    """Raises unless ``estimate(key, q, *args)`` is one real scalar.

    Args:
      name: the function, for the message.
      what: what the user calls the estimate.
      estimate: what the user gave.
      key: PRNG key.
      q: what the gradient is taken with respect to.
      args: further arguments of the estimate.
      remedy: what to pass instead.

    Returns:
      The estimate.
    """
    signature = "estimate(key, q, *args)"
    what = f"{what} of jaxdiscrete.{name}"
    check_call(what, estimate, signature, (key, q, *args), remedy)

    def value(key: jax.Array, *args: Any) -> Any:
        out = estimate(key, q, *args)
        if callable(out):
            raise TypeError(
                f"Expected {what} to return a scalar when called as {signature}, got "
                f"a function. {remedy}"
            )
        return out

    check_scalar(what, value, key, args)
    return estimate


def depends_on_key(estimate: Estimator, key: jax.Array, q: PyTree, args: Any) -> bool:
    """Tells whether the gradient of an estimate is random, as its program tells.

    Args:
      estimate: ``estimate(key, q, *args) -> scalar``.
      key: PRNG key.
      q: pytree of floating arrays.
      args: further arguments of the estimate.
    """
    gradient = jax.grad(estimate, argnums=1)
    program = jax.make_jaxpr(lambda k: gradient(k, q, *args))(key).jaxpr
    return any(outputs_reached_from(program, program.invars[0]))


def compile_gradient(
    estimate: Estimator, keys: jax.Array, q: PyTree, args: Any
) -> Program:
    """The compiled gradients of an estimate with respect to q.

    Args:
      estimate: ``estimate(key, q, *args) -> scalar``.
      keys: as many as will be given to the program, of the same kind.
      q: pytree of floating arrays.
      args: further arguments of the estimate.

    Returns:
      The program, whose results are in at least float32.
    """
    gradient = jax.grad(estimate, argnums=1)

    def run(keys: jax.Array) -> list[jax.Array]:
        gradients = jax.vmap(lambda k: gradient(k, q, *args))(keys)
        return [in_float32(g) for g in jax.tree.leaves(gradients)]

    compiled: Program = jax.jit(run).lower(keys).compile()
    return compiled


def chunk_keys(keys: jax.Array, chunk_size: int) -> Iterator[tuple[jax.Array, int]]:
    """Keys in chunks of one size, each with how many of its keys are new.

    The last one begins again from the first key, so that one program serves all.

    Args:
      keys: ``[n]``.
      chunk_size: how many keys a chunk has at most.

    Yields:
      The keys of a chunk, and how many of them no chunk had before.
    """
    size = min(chunk_size, len(keys))
    for start in range(0, len(keys), size):
        new = min(size, len(keys) - start)
        yield keys[np.arange(start, start + size) % len(keys)], new


def compile_all(
    estimates: Mapping[str, Estimator],
    keys: jax.Array,
    q: PyTree,
    args: Any,
    chunk_size: int,
) -> dict[str, Program]:
    """One program per estimate, for the chunks of ``keys``.

    Args:
      estimates: by name.
      keys: ``[n]``.
      q: pytree of floating arrays.
      args: further arguments of the estimates.
      chunk_size: how many keys a chunk has at most.

    Returns:
      The programs by name.
    """
    first, _ = next(chunk_keys(keys, chunk_size))
    return {
        name: compile_gradient(estimate, first, q, args)
        for name, estimate in estimates.items()
    }


def gradient_rows(
    programs: Mapping[str, Program], keys: jax.Array, chunk_size: int
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Gradients of several estimates for the same keys, chunk by chunk in turn.

    Args:
      programs: by name, as from :func:`compile_all`.
      keys: one per gradient.
      chunk_size: how many run at a time.

    Yields:
      A name, its gradients ``[chunk, coordinates]`` in float64, and the seconds that
      one of them took.

    Raises:
      FloatingPointError: if a gradient is not finite.
    """
    for chunk, new in chunk_keys(keys, chunk_size):
        for name, run in programs.items():
            start = time.perf_counter()
            leaves = jax.block_until_ready(run(chunk))
            seconds = (time.perf_counter() - start) / len(chunk)
            rows = np.concatenate(
                [np.asarray(x, np.float64).reshape(len(chunk), -1) for x in leaves],
                axis=1,
            )[:new]
            if not np.all(np.isfinite(rows)):
                bad = rows[~np.isfinite(rows)]
                raise FloatingPointError(
                    f"Expected finite gradients of {name!r}, got {bad[0]} in "
                    f"{len(np.unique(np.argwhere(~np.isfinite(rows))[:, 0]))} of "
                    f"{new} samples. Look for a logarithm, division or square root at "
                    "zero in f, or jax.config.update('jax_debug_nans', True)."
                )
            yield name, rows, seconds


def gradient_moments(
    name: str,
    estimate: Estimator,
    key: jax.Array,
    q: PyTree,
    args: Any,
    *,
    num_gradients: int,
    chunk_size: int,
) -> Moments:
    """The moments of many gradients of one estimate.

    Args:
      name: of the estimate, for the message where one is not finite.
      estimate: ``estimate(key, q, *args) -> scalar``.
      key: PRNG key.
      q: pytree of floating arrays.
      args: further arguments of the estimate.
      num_gradients: how many.
      chunk_size: how many run at a time.

    Returns:
      Their moments; with one sample the squares are zero.
    """
    keys = jax.random.split(key, num_gradients)
    programs = compile_all({name: estimate}, keys, q, args, chunk_size)
    moments = NO_MOMENTS
    for _, rows, _ in gradient_rows(programs, keys, chunk_size):
        moments = merge(moments, rows)
    return moments


def coordinate_names(q: PyTree) -> list[str]:
    """The names of the coordinates of the gradient, for instance q.logits[0].

    Args:
      q: pytree of arrays.
    """
    names = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(q)[0]:
        stem = "q" + jax.tree_util.keystr(path)
        for index in np.ndindex(np.shape(leaf)):
            names.append(stem + (str(list(index)) if index else ""))
    return names
