"""Local expectations: every variable summed over its values, one at a time."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.batches import check_chunk_size, over_batch
from jaxdiscrete.core.checking import is_checking
from jaxdiscrete.core.estimator import estimator, with_path_to
from jaxdiscrete.core.facts import NEIGHBOURS, facts
from jaxdiscrete.core.latents import draw, flatten, freeze, latents, pull_through
from jaxdiscrete.core.needs import BINARY, FINITE, Needs
from jaxdiscrete.core.objective import ObjectiveWithAux, as_signal
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.typing import Estimator, Finite, Objective, PyTree
from jaxdiscrete.core.varying import freeze_varying
from jaxdiscrete.distributions.common import quotient_and_rest


@facts(calls=NEIGHBOURS, needs=FINITE, reference="Titsias & Lazaro-Gredilla 2015")
def local_expectation(
    f: Objective, *, chunk_size: int | None = None, has_aux: bool = False
) -> Estimator:
    r"""Local expectation gradient: each variable is integrated out, given the others.

    For a sample z let :math:`f_{vc}` be f where variable v of z is set to class c.
    The gradient estimate is
    :math:`\sum_v\sum_c (f_{vc} - f(z))\,\nabla_\phi\pi_{vc}` with the probabilities
    :math:`\pi`: REINFORCE, with its expectation over v taken exactly. Unbiased, and
    without variance where f is a sum of functions of one variable each.
    ``1 + n (K - 1)`` calls of ``f`` for n variables of K classes (``1 + n`` for n
    bits), which need not be differentiable in z. Classes without probability are not
    visited: f is evaluated at z in their place.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      chunk_size: how many of the evaluations beside f(z) run at a time. Static.
        Default: all at once, with the memory of as many evaluations of f.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too, with the
        aux of the drawn sample. What leaves through aux gets no credit for what happens
        to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``chunk_size < 1``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds anything but variables with classes.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      >>> estimate = jd.local_expectation(lambda z: 3.0 * z.sum())  # no variance
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(4))
      [0.705 0.705]

    References:
      M. K. Titsias, M. Lazaro-Gredilla, Local expectation gradients for black box
      variational inference, 2015.
    """
    return _one_at_a_time("local_expectation", f, FINITE, chunk_size, has_aux)


@facts(calls=NEIGHBOURS, needs=BINARY, reference="Mohamed et al. 2020")
def measure_valued(
    f: Objective, *, chunk_size: int | None = None, has_aux: bool = False
) -> Estimator:
    r"""Measure-valued (weak) derivative, coupled, for binary variables.

    The derivative of a Bernoulli distribution in its logit is :math:`p(1-p)` times
    the difference of two point masses. With the other variables shared by both, the
    gradient estimate is, for each variable v of a sample z,
    :math:`p_v(1-p_v)(f(z_v{=}1) - f(z_v{=}0))`. Unbiased. ``1 + n`` calls of ``f`` for
    n bits, since z itself is one of the two points; f need not be differentiable in z.
    For bits it is the same estimator as :func:`local_expectation`.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      chunk_size: as in :func:`local_expectation`. Default: all at once.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too, with the
        aux of the drawn sample. What leaves through aux gets no credit for what happens
        to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``chunk_size < 1``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds anything but binary variables.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(2))
      >>> estimate = jd.measure_valued(lambda z: z[0] * (1.0 + z[1]))
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits)
      [0.25 0.  ]

    References:
      G. C. Pflug, Optimization of stochastic models: the interface between
      simulation and optimization, 1996.
      S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, Monte Carlo gradient estimation in
      machine learning, 2020.
    """
    return _one_at_a_time("measure_valued", f, BINARY, chunk_size, has_aux)


def _one_at_a_time(
    name: str,
    f: Objective,
    needs: Needs,
    chunk_size: int | None,
    has_aux: bool,
) -> Estimator:
    """f at a sample and at all that differ from it in one variable."""
    check_chunk_size(name, chunk_size)

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        z = draw(key, q)
        value, aux = objective(z, *args)
        if is_checking():
            return with_path_to(value, q), aux
        here = as_signal(value)
        frozen_q = freeze_varying(q, here)

        def signal(index: jax.Array) -> jax.Array:
            return as_signal(objective(_neighbour(frozen_q, z, index), *args)[0])

        num_neighbours = sum(_num_neighbours(d) for d in latents(q))
        numbers = jnp.arange(num_neighbours, dtype=jnp.int32)
        changes = over_batch(signal, numbers, chunk_size) - here
        slopes = _slopes(frozen_q, z, freeze(changes))
        g = pull_through(lambda d: jnp.exp(d.log_probabilities()), frozen_q, slopes)
        leaves = jax.tree.leaves(q)
        return attach_gradient(value, leaves, jax.tree.leaves(g)), aux

    return estimator(name, f, body, needs=needs, has_aux=has_aux)


def _num_neighbours(d: Finite) -> int:
    """The number of states that differ from a given one in one variable."""
    return math.prod(d.batch_shape) * (d.num_classes - 1)


def _classes(d: Finite, z: jax.Array) -> jax.Array:
    """The class of every variable, a vector of integers."""
    return d.to_classes(z).astype(jnp.int32).reshape(-1)


def _neighbour(q: PyTree, z: PyTree, number: jax.Array) -> PyTree:
    """z with one variable in another class.

    Args:
      q: pytree of distributions.
      z: a hard sample.
      number: which neighbour, counted over the leaves of q, their variables, and how
        far their class is moved.

    Returns:
      The neighbour, or z itself where that has no probability.
    """
    leaves, treedef = flatten(q)
    moved = []
    for d, x in zip(leaves, treedef.flatten_up_to(z), strict=True):
        index, num_others = _classes(d, x), max(d.num_classes - 1, 1)
        variable, moves = quotient_and_rest(jnp.maximum(number, 0), num_others)
        other = quotient_and_rest(index + 1 + moves, d.num_classes)[1]
        table = d.log_probabilities().reshape(-1, d.num_classes)
        log_p = jnp.take_along_axis(table, other[:, None], axis=-1)[:, 0]
        # A number that belongs to another leaf matches no variable of this one.
        is_moved = jnp.arange(index.size, dtype=index.dtype) == variable
        is_moved &= (number >= 0) & (jnp.exp(log_p) > 0)
        index = jnp.where(is_moved, other, index)
        moved.append(d.from_classes(index.reshape(d.batch_shape)))
        number -= _num_neighbours(d)
    return jax.tree.unflatten(treedef, moved)


def _slopes(q: PyTree, z: PyTree, changes: jax.Array) -> list[jax.Array]:
    """The coefficients of the probabilities in the local expectation of f.

    Args:
      q: pytree of distributions.
      z: a hard sample.
      changes: f at every neighbour, in the order of their numbers, less f(z).

    Returns:
      ``[*batch_shape, classes]`` for every distribution.
    """
    leaves, treedef = flatten(q)
    slopes, start = [], 0
    for d, x in zip(leaves, treedef.flatten_up_to(z), strict=True):
        index = _classes(d, x)
        end = start + _num_neighbours(d)
        by_distance = changes[start:end].reshape(index.size, d.num_classes - 1)
        by_distance = jnp.pad(by_distance, ((0, 0), (1, 0)))
        classes = jnp.arange(d.num_classes, dtype=index.dtype)
        behind = classes[None] - index[:, None] + d.num_classes
        distance = quotient_and_rest(behind, d.num_classes)[1]
        by_class = jnp.take_along_axis(by_distance, distance, axis=-1)
        slopes.append(by_class.reshape(*d.batch_shape, d.num_classes))
        start = end
    return slopes
