"""Pytrees of distributions: drawing, scoring and freezing them leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.precision import add_wide, wide
from jaxdiscrete.core.typing import PyTree, Reparametrisable, Sampler


def is_sampler(x: Any) -> bool:
    """Whether ``x`` is a leaf of a pytree of distributions."""
    return isinstance(x, Sampler)


def flatten(q: PyTree) -> tuple[list[Any], Any]:
    """The distributions of ``q`` and the structure around them."""
    return jax.tree.flatten(q, is_leaf=is_sampler)


def latents(q: PyTree) -> list[Any]:
    """The distributions of ``q``, in tree order."""
    return flatten(q)[0]


def is_single_leaf(tree: PyTree) -> bool:
    """Whether ``tree`` is one leaf and no container."""
    return jax.tree_util.treedef_is_leaf(jax.tree.structure(tree))


def map_latents(fn: Callable[..., Any], q: PyTree, *rest: PyTree) -> PyTree:
    """Applies ``fn`` to every distribution and what stands in its place in rest."""
    return jax.tree.map(fn, q, *rest, is_leaf=is_sampler)


def map_to_pairs(
    fn: Callable[..., tuple[Any, Any]], q: PyTree, *rest: PyTree
) -> tuple[PyTree, list[Any]]:
    """As :func:`map_latents` for a fn of two results, the second ones in a list."""
    leaves, treedef = flatten(q)
    columns = [treedef.flatten_up_to(x) for x in rest]
    pairs = [fn(*row) for row in zip(leaves, *columns, strict=True)]
    return treedef.unflatten([x for x, _ in pairs]), [y for _, y in pairs]


def split_for(key: jax.Array, q: PyTree) -> PyTree:
    """A key for every distribution; a single one gets ``key`` itself."""
    leaves, treedef = flatten(q)
    keys = [key] if len(leaves) == 1 else list(jax.random.split(key, len(leaves)))
    return jax.tree.unflatten(treedef, keys)


def draw(key: jax.Array, q: PyTree) -> PyTree:
    """One hard sample of every distribution, without a gradient path."""
    q = freeze(q)
    return freeze(map_latents(lambda d, k: d.sample(k), q, split_for(key, q)))


def draw_relaxed(key: jax.Array, q: PyTree) -> PyTree:
    """One pre-squashed relaxed sample of every distribution, reparametrised."""
    return map_latents(lambda d, k: d.relaxed_sample(k), q, split_for(key, q))


def threshold(q: PyTree, zeta: PyTree) -> PyTree:
    """The hard samples that belong to pre-squashed relaxed ones."""
    return freeze(map_latents(lambda d, x: d.threshold(x), q, zeta))


def mean(q: PyTree) -> PyTree:
    """The expectations of the distributions."""
    return map_latents(lambda d: d.mean(), q)


def log_prob(q: PyTree, z: PyTree) -> jax.Array:
    """The joint log-probability, a scalar in at least float32."""
    leaves, treedef = flatten(q)
    terms = [
        jnp.sum(jnp.asarray(widen(d).log_prob(value)))
        for d, value in zip(leaves, treedef.flatten_up_to(z), strict=True)
    ]
    return add_wide(terms)


def score(q: PyTree, z: PyTree) -> PyTree:
    """The gradient of the joint log-probability with respect to every leaf of q."""
    return jax.grad(lambda wide_q: log_prob(wide_q, z))(widen(q))


def is_array(x: Any) -> bool:
    """Whether ``x`` holds numbers that can be stopped or differentiated."""
    return isinstance(x, jax.Array | np.ndarray | np.generic)


def freeze(tree: PyTree) -> PyTree:
    """Stops gradients through every floating array; other leaves pass unchanged."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if is_array(x) else x, tree)


def widen(q: PyTree) -> PyTree:
    """Distributions with a relaxation, their parameters in at least float32.

    Scores and gradients are computed there, and rounded once, on arrival at the
    parameters. Other samplers are left alone: their code may rely on their dtype.
    """

    def widen_one(d: Any) -> Any:
        if not isinstance(d, Reparametrisable):
            return d
        return jax.tree.map(lambda x: wide(jnp.asarray(x)), d)

    return map_latents(widen_one, q)


def spread(name: str, value: PyTree, q: PyTree) -> PyTree:
    """One entry of ``value`` for every distribution, ready to meet its samples.

    Args:
      name: what ``value`` is, for the error message.
      value: one number, an array of the latent's shape (its batch shape, or its
        sample shape), or a pytree of those with the structure of ``q``.
      q: pytree of distributions with a relaxation.

    Returns:
      A pytree of the structure of ``q``: scalars, or arrays that broadcast against
      samples without a change of rank.

    Raises:
      ValueError: if structure or shapes do not fit.
    """
    leaves, treedef = flatten(q)
    if value is None:
        raise TypeError(f"Expected {name} to be a number or an array, got None.")
    if is_single_leaf(value):
        values = [value] * len(leaves)
    else:
        try:
            values = treedef.flatten_up_to(value)
        except (ValueError, TypeError, KeyError):
            values = []
        if not values or not all(is_single_leaf(v) for v in values):
            raise ValueError(
                f"Expected {name} to be one number, an array of the latent's shape, "
                f"or a pytree of q's structure {treedef}, got "
                f"{jax.tree.structure(value)}."
            )
    fitted = [_fit(name, v, d) for v, d in zip(values, leaves, strict=True)]
    return jax.tree.unflatten(treedef, fitted)


def _fit(name: str, value: ArrayLike, d: Reparametrisable) -> ArrayLike:
    shape = np.shape(value)
    sample_shape = jax.eval_shape(d.sample, jax.random.key(0)).shape
    if shape in ((), sample_shape):
        return value
    if shape == d.batch_shape:
        extra = (1,) * (len(sample_shape) - len(shape))
        return jnp.reshape(jnp.asarray(value), shape + extra)
    raise ValueError(
        f"Expected {name} to be one number or an array of the latent's shape "
        f"{d.batch_shape}, got shape {shape}. Nothing is broadcast: give one entry "
        "a latent."
    )
