"""Arrays whose type says how they are split over the devices of an explicit mesh.

There JAX wants to be told how a result is split wherever an operation along a split
axis leaves that open. The library says it for whole functions, within which the
compiler decides. Everything here is the identity where types say nothing: on one
device, on automatic meshes and inside ``shard_map``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

from jaxdiscrete.core.typing import PyTree

#: Of a result that is not split.
WHOLE = PartitionSpec()


def explicit_mesh(tree: PyTree) -> AbstractMesh | None:
    """The explicit mesh on which arrays lie, or None.

    Args:
      tree: pytree of arrays.

    Raises:
      NotImplementedError: if there is one and JAX is too old to split what a function
        computes within it.
    """
    for x in jax.tree.leaves(tree):
        if isinstance(x, jax.Array):
            mesh: AbstractMesh = jax.typeof(x).sharding.mesh
            if not mesh.empty and AxisType.Explicit in mesh.axis_types:
                _check_version()
                return mesh
    return None


def _check_version() -> None:
    if jax.__version_info__ < (0, 10):
        raise NotImplementedError(
            "Expected JAX 0.10 or newer for arrays on a mesh with explicit axes, got "
            f"JAX {jax.__version__}. Upgrade JAX, or make the mesh with axis_types="
            "(jax.sharding.AxisType.Auto,) * the number of its axes."
        )


def automatically(fn: Callable[..., Any], *args: Any, out: PyTree) -> Any:
    """``fn(*args)``, within which the compiler decides how arrays are split.

    Args:
      fn: of arrays alone: it closes over none.
      args: pytrees of arrays.
      out: how the results are split: a pytree of specs, or one for all results below.

    Returns:
      The results of ``fn``.
    """
    mesh = explicit_mesh(args)
    if mesh is None:
        return fn(*args)
    with jax.sharding.use_abstract_mesh(mesh):
        # Compiled, since outside jit no devices would belong to the mesh of the types.
        return jax.jit(jax.sharding.auto_axes(fn, out_sharding=out))(*args)


def axes(x: jax.Array) -> list[Any]:
    """The mesh axes over which every axis is split; None for one that is whole.

    Args:
      x: array.
    """
    spec = list(jax.typeof(x).sharding.spec)
    return spec + [None] * (jnp.ndim(x) - len(spec))


def spec_of(x: jax.Array, under: int = 0) -> PartitionSpec:
    """How an array is split, for one with more axes before those.

    Args:
      x: array.
      under: how many axes come before, all whole.
    """
    return PartitionSpec(*[None] * under, *axes(x))


def specs_of(tree: PyTree, under: int = 0) -> PyTree:
    """:func:`spec_of` for every leaf.

    Args:
      tree: pytree of arrays.
      under: how many axes come before.
    """
    return jax.tree.map(lambda x: spec_of(x, under), tree)


def placed(x: jax.Array, spec: PartitionSpec) -> jax.Array:
    """``x``, split as asked for.

    Args:
      x: array.
      spec: how.
    """
    mesh = explicit_mesh(x)
    if mesh is None or spec_of(x) == PartitionSpec(
        *spec, *[None] * (x.ndim - len(spec))
    ):
        return x
    return jax.sharding.reshard(x, NamedSharding(mesh, spec))


def first_axis_whole(tree: PyTree) -> PyTree:
    """The same arrays, none of them split over its first axis.

    Args:
      tree: pytree of arrays.
    """
    return jax.tree.map(lambda x: placed(x, PartitionSpec(None, *axes(x)[1:])), tree)


def argmax(x: jax.Array) -> jax.Array:
    """``jnp.argmax`` over the last axis, int32.

    Args:
      x: array ``[..., n]``, whose last axis may be split.
    """
    return automatically(
        lambda x: jnp.argmax(x, axis=-1).astype(jnp.int32),
        x,
        out=PartitionSpec(*axes(x)[:-1]),
    )


def top_k(x: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """``jax.lax.top_k``, whose last axis may be split.

    Args:
      x: array ``[..., n]``.
      k: how many. Static.

    Returns:
      The k largest entries, and where they are, neither of them split over their last
      axis.
    """
    parts = _num_parts(x)

    def largest(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        if parts == 1:
            values, index = jax.lax.top_k(x, k)
            return values, index
        # Those of every part first: of what moves between devices there are k each.
        # By a sort, which the compiler splits, where it would gather for a top_k. NaN
        # come first in both.
        size = x.shape[-1] // parts
        split = x.reshape(*x.shape[:-1], parts, size)
        number = jnp.broadcast_to(jnp.arange(x.shape[-1], dtype=jnp.int32), x.shape)
        number = number.reshape(split.shape)
        order = jnp.where(jnp.isnan(split), -jnp.inf, -split)
        rows = jax.lax.sort((order, split, number), num_keys=1)
        values, number = (
            row[..., : min(k, size)].reshape(*x.shape[:-1], -1) for row in rows[1:]
        )
        values, index = jax.lax.top_k(values, k)
        return values, jnp.take_along_axis(number, index, axis=-1)

    spec = PartitionSpec(*axes(x)[:-1])
    return automatically(largest, x, out=(spec, spec))


def _num_parts(x: jax.Array) -> int:
    """Over how many devices the type of ``x`` says that its last axis is split."""
    names = axes(x)[-1]
    if explicit_mesh(x) is None or names is None:
        return 1
    names = names if isinstance(names, tuple) else (names,)
    return math.prod(jax.typeof(x).sharding.mesh.shape[name] for name in names)
