"""Local expectations: every variable summed over its values, one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import check_count, check_kind, check_objective
from jaxdiscrete.core.latents import draw, flatten, freeze, latents, mean, widen
from jaxdiscrete.core.rules import attach, linear_form
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.distributions import Bernoulli, OneHotCategorical
from jaxdiscrete.multi_sample.mechanism import over_samples
from jaxdiscrete.score_function.mechanism import as_signal, evaluate, freeze_like_sample


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
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too, with
        the aux of the drawn sample.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``chunk_size < 1``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli` and
        :class:`OneHotCategorical`.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      >>> estimate = jd.local_expectation(lambda z: 3.0 * z.sum())  # no variance
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(4))
      [0.705 0.705]

    References:
      M. K. Titsias, M. Lazaro-Gredilla, Local expectation gradients for black box
      variational inference, 2015.
    """
    kinds = (Bernoulli, OneHotCategorical)

    def check(q: PyTree) -> None:
        variables = "binary and categorical"
        check_kind("local_expectation", q, kinds, variables=variables)

    return _one_at_a_time("local_expectation", f, check, chunk_size, has_aux)


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
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too, with
        the aux of the drawn sample.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``chunk_size < 1``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli`.

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

    def check(q: PyTree) -> None:
        check_kind("measure_valued", q, Bernoulli, variables="binary")

    return _one_at_a_time("measure_valued", f, check, chunk_size, has_aux)


def _one_at_a_time(
    name: str,
    f: Objective,
    check: Callable[[PyTree], None],
    chunk_size: int | None,
    has_aux: bool,
) -> Estimator:
    """f at a sample and at all that differ from it in one variable."""
    if chunk_size is not None:
        check_count(name, "chunk_size", chunk_size, 1, "Ask for one or more.")

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check(q)
        check_objective(f, key, q, args, has_aux)
        z = draw(key, q)
        value, aux = evaluate(f, z, args, has_aux)
        here = as_signal(value)
        frozen_q = freeze_like_sample(q, here)

        def signal(index: jax.Array) -> jax.Array:
            neighbour = _neighbour(frozen_q, z, index)
            return as_signal(evaluate(f, neighbour, args, has_aux)[0])

        num_neighbours = sum(_num_neighbours(d) for d in latents(q))
        numbers = jnp.arange(num_neighbours, dtype=jnp.int32)
        changes = over_samples(signal, numbers, chunk_size) - here
        slope = _slope(frozen_q, z, freeze(changes))

        def local_mean(wide_q: PyTree) -> jax.Array:
            return linear_form(jax.tree.leaves(mean(wide_q)), slope)

        g = jax.grad(local_mean)(widen(frozen_q))
        value = attach(value, jax.tree.leaves(q), jax.tree.leaves(g))
        return (value, aux) if has_aux else value

    return estimate


def _num_classes(d: Bernoulli | OneHotCategorical) -> int:
    return 2 if isinstance(d, Bernoulli) else d.num_classes


def _num_neighbours(d: Bernoulli | OneHotCategorical) -> int:
    """How many states differ from a given one in one variable."""
    return math.prod(d.batch_shape) * (_num_classes(d) - 1)


def _classes(d: Bernoulli | OneHotCategorical, z: jax.Array) -> jax.Array:
    """The class of every variable, a vector of integers."""
    index = z > 0.5 if isinstance(d, Bernoulli) else jnp.argmax(z, axis=-1)
    return index.astype(jnp.int32).reshape(-1)


def _probabilities(d: Bernoulli | OneHotCategorical) -> jax.Array:
    """``[variables, classes]``, in at least float32."""
    location = d.location()
    if isinstance(d, Bernoulli):
        both = jnp.stack([-location, location], axis=-1)
        return jax.nn.sigmoid(both).reshape(-1, 2)
    return jnp.exp(location).reshape(-1, d.num_classes)


def _state(d: Bernoulli | OneHotCategorical, index: jax.Array) -> jax.Array:
    """The sample whose variables have the given classes."""
    index = index.reshape(d.batch_shape)
    if isinstance(d, Bernoulli):
        return index.astype(d.dtype)
    return jax.nn.one_hot(index, d.num_classes, dtype=d.dtype)


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
        index, num_others = _classes(d, x), max(_num_classes(d) - 1, 1)
        distance = 1 + number % num_others
        other = (index + distance) % _num_classes(d)
        probability = jnp.take_along_axis(_probabilities(d), other[:, None], axis=-1)
        # A number that belongs to another leaf matches no variable of this one.
        is_moved = jnp.arange(index.size, dtype=index.dtype) == number // num_others
        is_moved &= probability[:, 0] > 0
        moved.append(_state(d, jnp.where(is_moved, other, index)))
        number -= _num_neighbours(d)
    return jax.tree.unflatten(treedef, moved)


def _slope(q: PyTree, z: PyTree, changes: jax.Array) -> list[jax.Array]:
    """The coefficients of the means of q in the local expectation of f.

    Args:
      q: pytree of distributions.
      z: a hard sample.
      changes: f at every neighbour, in the order of their numbers, less f(z).

    Returns:
      An array of the sample's shape for every leaf of q.
    """
    leaves, treedef = flatten(q)
    slopes, start = [], 0
    for d, x in zip(leaves, treedef.flatten_up_to(z), strict=True):
        index, num_classes = _classes(d, x), _num_classes(d)
        end = start + _num_neighbours(d)
        by_distance = changes[start:end].reshape(index.size, num_classes - 1)
        by_distance = jnp.pad(by_distance, ((0, 0), (1, 0)))
        distance = jnp.arange(num_classes, dtype=index.dtype)[None] - index[:, None]
        by_class = jnp.take_along_axis(by_distance, distance % num_classes, axis=-1)
        if isinstance(d, Bernoulli):
            slopes.append((by_class[:, 1] - by_class[:, 0]).reshape(d.batch_shape))
        else:
            slopes.append(by_class.reshape(x.shape))
        start = end
    return slopes
