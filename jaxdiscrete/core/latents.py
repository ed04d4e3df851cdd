"""Pytrees of distributions: drawing, scoring and freezing them leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jax.typing import ArrayLike

from jaxdiscrete.core.marks import frozen
from jaxdiscrete.core.numbers import check_finite
from jaxdiscrete.core.placed import WHOLE, explicit_mesh
from jaxdiscrete.core.precision import in_float32, sum_in_float32
from jaxdiscrete.core.sample import GivenSample
from jaxdiscrete.core.typing import Finite, PyTree, Reparametrisable, Sampler


def is_sampler(x: Any) -> bool:
    """Tells whether ``x`` is a leaf of a pytree of distributions.

    Args:
      x: anything.

    Returns:
      Whether it has ``sample`` and ``log_prob``.
    """
    return isinstance(x, Sampler)


def flatten(q: PyTree) -> tuple[list[Any], Any]:
    """The distributions of ``q`` and the structure around them.

    Args:
      q: pytree of distributions.

    Returns:
      A list in tree order, and the treedef in which each of them is one leaf.
    """
    return jax.tree.flatten(q, is_leaf=is_sampler)


def latents(q: PyTree) -> list[Any]:
    """The distributions of ``q``, in tree order.

    Args:
      q: pytree of distributions.

    Returns:
      A list.
    """
    return flatten(q)[0]


def is_single_leaf(tree: PyTree) -> bool:
    """Tells whether ``tree`` is one leaf and no container.

    Args:
      tree: a pytree.

    Returns:
      False for containers, for None, and for empty ones.
    """
    return jax.tree_util.treedef_is_leaf(jax.tree.structure(tree))


def map_latents(fn: Callable[..., Any], q: PyTree, *rest: PyTree) -> PyTree:
    """Applies ``fn`` to every distribution and what stands in its place in rest.

    Args:
      fn: ``fn(d, *entries)``.
      q: pytree of distributions.
      rest: pytrees that have q's structure, or more below it.

    Returns:
      The results, in q's structure.
    """
    return jax.tree.map(fn, q, *rest, is_leaf=is_sampler)


def map_to_pairs(
    fn: Callable[..., tuple[Any, Any]], q: PyTree, *rest: PyTree
) -> tuple[PyTree, list[Any]]:
    """Maps as :func:`map_latents` a fn of two results, the second ones in a list.

    Args:
      fn: ``fn(d, *entries) -> (one, other)``.
      q: pytree of distributions.
      rest: pytrees that have q's structure, or more below it.

    Returns:
      The first results in q's structure, and the second ones in tree order.
    """
    leaves, treedef = flatten(q)
    columns = [treedef.flatten_up_to(x) for x in rest]
    pairs = [fn(*row) for row in zip(leaves, *columns, strict=True)]
    return treedef.unflatten([x for x, _ in pairs]), [y for _, y in pairs]


def split_for(key: jax.Array, q: PyTree) -> PyTree:
    """A key for every distribution; a single one gets ``key`` itself.

    Args:
      key: PRNG key.
      q: pytree of distributions.

    Returns:
      A pytree of q's structure.
    """
    leaves, treedef = flatten(q)
    keys = [key] if len(leaves) == 1 else list(jax.random.split(key, len(leaves)))
    return jax.tree.unflatten(treedef, keys)


def draw(key: jax.Array | GivenSample, q: PyTree) -> PyTree:
    """One hard sample of every distribution, without a gradient path.

    Args:
      key: PRNG key, or the sample itself where it was drawn elsewhere.
      q: pytree of distributions.

    Returns:
      A pytree of q's structure, stopped.
    """
    if isinstance(key, GivenSample):
        return freeze(key.z)
    q = freeze(q)
    return freeze(map_latents(lambda d, k: d.sample(k), q, split_for(key, q)))


def specs_of_samples(q: PyTree, under: int = 1) -> PyTree:
    """How samples are split over an explicit mesh; nothing is drawn.

    Args:
      q: pytree of distributions.
      under: how many axes, all whole, come before those of a sample.

    Returns:
      What :func:`jaxdiscrete.core.placed.automatically` takes as ``out``.
    """
    if explicit_mesh(q) is None:
        return WHOLE
    shapes = jax.eval_shape(lambda key: draw(key, q), jax.random.key(0))

    def one(x: jax.ShapeDtypeStruct) -> PartitionSpec:
        spec = () if x.sharding is None else x.sharding.spec
        return PartitionSpec(*[None] * under, *spec)

    return jax.tree.map(one, shapes)


def draw_relaxed(key: jax.Array, q: PyTree) -> PyTree:
    """One pre-squashed relaxed sample of every distribution, reparametrised.

    Args:
      key: PRNG key.
      q: pytree of distributions with a relaxation.

    Returns:
      A pytree of q's structure, differentiable in its parameters.
    """
    return map_latents(lambda d, k: d.relaxed_sample(k), q, split_for(key, q))


def threshold(q: PyTree, zeta: PyTree) -> PyTree:
    """The hard samples that belong to pre-squashed relaxed ones.

    Args:
      q: pytree of distributions with a relaxation.
      zeta: as from :func:`draw_relaxed`.

    Returns:
      A pytree of q's structure, stopped.
    """
    return freeze(map_latents(lambda d, x: d.threshold(x), q, zeta))


def mean(q: PyTree) -> PyTree:
    """The expectations of the distributions.

    Args:
      q: pytree of distributions with a mean.

    Returns:
      A pytree of q's structure, of the shapes of samples, differentiable.
    """
    return map_latents(lambda d: d.mean(), q)


def log_prob(q: PyTree, z: PyTree) -> jax.Array:
    """The joint log-probability, a scalar in at least float32.

    Args:
      q: pytree of distributions.
      z: one sample of each.

    Returns:
      The sum over all variables of all distributions.
    """
    leaves, treedef = flatten(q)
    terms = [
        jnp.sum(jnp.asarray(parameters_in_float32(d).log_prob(value)))
        for d, value in zip(leaves, treedef.flatten_up_to(z), strict=True)
    ]
    return sum_in_float32(terms)


def is_array(x: Any) -> bool:
    """Tells whether ``x`` holds numbers that can be stopped or differentiated.

    Args:
      x: a leaf of a pytree.

    Returns:
      False for Python numbers.
    """
    return isinstance(x, jax.Array | np.ndarray | np.generic)


def freeze(tree: PyTree) -> PyTree:
    """Stops gradients through every floating array; other leaves pass unchanged.

    Args:
      tree: a pytree.

    Returns:
      A pytree of the same structure, shapes and dtypes.
    """
    return jax.tree.map(lambda x: frozen(x) if is_array(x) else x, tree)


def has_parameters(d: Any) -> bool:
    """Tells whether the leaves of a distribution are its parameters.

    Another class says so by an attribute ``leaves_are_parameters``.

    Args:
      d: a distribution.

    Returns:
      Whether a gradient with respect to its leaves has a meaning.
    """
    if isinstance(d, Reparametrisable | Finite):
        return True
    return bool(getattr(d, "leaves_are_parameters", False))


def parameters_in_float32(q: PyTree) -> PyTree:
    """Distributions with their parameters in at least float32.

    Scores and gradients are computed there, and rounded once, on arrival at the
    parameters. Samplers of other kinds are left alone: their code may rely on their
    dtype.

    Args:
      q: pytree of distributions.

    Returns:
      A pytree of q's structure.
    """

    def one(d: Any) -> Any:
        if not has_parameters(d):
            return d
        return jax.tree.map(lambda x: in_float32(jnp.asarray(x)), d)

    return map_latents(one, q)


def log_odds(d: Finite) -> jax.Array:
    """The log-odds of the second of two classes, of ``batch_shape``.

    Args:
      d: a distribution with two classes. Its own ``log_odds()`` is taken if there is
        one.

    Returns:
      ``[*batch_shape]``, in at least float32, differentiable.
    """
    if hasattr(d, "log_odds"):
        odds: jax.Array = d.log_odds()
        return odds
    table = d.log_probabilities()
    return table[..., 1] - table[..., 0]


def pull_through(
    fn: Callable[[Any], jax.Array], q: PyTree, gradients: list[jax.Array]
) -> PyTree:
    """Gradients with respect to a function of every distribution, taken to its leaves.

    Args:
      fn: from a distribution to an array, for instance its log-odds.
      q: pytree of distributions, frozen.
      gradients: one per distribution, of the shape of ``fn``.

    Returns:
      A pytree of q's structure.
    """
    leaves, treedef = flatten(parameters_in_float32(q))
    pulled = []
    for d, g in zip(leaves, gradients, strict=True):
        value, pullback = jax.vjp(fn, d)
        pulled.append(pullback(g.astype(value.dtype))[0])
    return treedef.unflatten(pulled)


def broadcast_to_latents(name: str, value: PyTree, q: PyTree) -> PyTree:
    """One entry of ``value`` per distribution, ready to meet its samples.

    Args:
      name: what ``value`` is, for the error message.
      value: one number, an array of the latent's shape (its batch shape, or its
        sample shape), or a pytree of those with the structure of ``q``.
      q: pytree of distributions; one without a relaxation takes one number.

    Returns:
      A pytree of the structure of ``q``: scalars, or arrays that broadcast against
      samples without a change of rank.

    Raises:
      ValueError: if structure or shapes do not fit.
    """
    leaves, treedef = flatten(q)
    values = split_over_latents(name, value, q)
    fitted = [_fit(name, v, d) for v, d in zip(values, leaves, strict=True)]
    return jax.tree.unflatten(treedef, fitted)


def split_over_latents(name: str, value: PyTree, q: PyTree) -> list[Any]:
    """One entry of ``value`` per distribution, whatever its shape, in a list.

    Args:
      name: what ``value`` is, for the error message.
      value: one number or array, or a pytree of those with the structure of ``q``.
      q: pytree of distributions.

    Returns:
      The entries in tree order.

    Raises:
      TypeError: if ``value`` is None.
      ValueError: if its structure does not fit, or if a number is not finite.
    """
    leaves, treedef = flatten(q)
    if value is None:
        raise TypeError(f"Expected {name} to be a number or an array, got None.")
    check_finite(name, value)
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
    return values


def _fit(name: str, value: ArrayLike, d: Sampler) -> ArrayLike:
    shape = np.shape(value)
    if shape == ():
        return value
    if not isinstance(d, Reparametrisable):
        raise ValueError(
            f"Expected {name} to be one number for {type(d).__name__}, whose "
            "parameters need not have the shape of its sample, got shape "
            f"{shape}. Train one number."
        )
    sample_shape = jax.eval_shape(d.sample, jax.random.key(0)).shape
    if shape == sample_shape:
        return value
    if shape == d.batch_shape:
        extra = (1,) * (len(sample_shape) - len(shape))
        return jnp.reshape(jnp.asarray(value), shape + extra)
    raise ValueError(
        f"Expected {name} to be one number or an array of the latent's shape "
        f"{d.batch_shape}, got shape {shape}. Nothing is broadcast: give one entry "
        "per latent."
    )
