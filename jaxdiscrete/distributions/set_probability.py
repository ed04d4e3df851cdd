r"""Probabilities of sets drawn without replacement, by one-dimensional quadrature.

Items are drawn one after another with probability proportional to :math:`p_s` among
those that are left. With r the mass of all items outside a set S, the probability
that the first :math:`|S|` draws are S, in any order, is

.. math:: p(S) = \int_0^\infty r e^{-rt} \prod_{s\in S} (1 - e^{-p_s t})\,dt

the probability that the items of S arrive before every other item when item s arrives
at rate :math:`p_s`. After :math:`t = e^y / r` the trapezoid rule converges faster than
any power of its step.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.rules import with_slopes


def _nodes(num_items: int, dtype: Any) -> tuple[np.ndarray, float]:
    """The nodes of the trapezoid rule and its step, for the precision of ``dtype``.

    The hardest integrand is that of tiny p, :math:`e^{(k+1)y} \\exp(-e^y)`. The error
    of the rule is the Fourier transform of the integrand, a Gamma function, at the
    frequency of the step; the two terms bound that frequency for small and large k.
    """
    digits = -math.log(float(jnp.finfo(dtype).eps) / 2.0)
    shape = num_items + 1
    frequency = math.hypot(0.8 * digits, 1.1 * math.sqrt(2.0 * shape * digits))
    step = 2.0 * math.pi / frequency
    return np.arange(-digits, math.log(2.0 * shape + 1.5 * digits), step), step


def _log_factor(ratio: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    r"""A factor of the integrand as ``offset [...] + row [..., nodes]``.

    The factor is :math:`\log(1 - \exp(-e^{y} p / r))` for :math:`\log p/r`. With the
    offset :math:`\min(\log p/r, 0)` taken out, the row stays moderate however rare the
    item is, so that sums and differences of rows are exact.
    """
    offset = jnp.minimum(ratio, 0.0)
    y = y.reshape((1,) * ratio.ndim + y.shape)
    u = ratio[..., None] + y
    # log(1 - exp(-x)), of which log x is taken out where x is small. At exp(6) the
    # factor is 1, and clipping leaves a zero derivative rather than inf * 0.
    x, limit = jnp.exp(jnp.minimum(u, 6.0)), math.exp(-8.0)
    near = jnp.log(-jnp.expm1(-jnp.maximum(x, limit))) - offset[..., None]
    small = jnp.minimum(x, limit)
    far = y + jnp.maximum(ratio, 0.0)[..., None] - small / 2.0 + small**2 / 24.0
    return offset, jnp.where(u < -8.0, far, near)


def _slope_of_factor(ratio: jax.Array, y: jax.Array) -> jax.Array:
    r"""The derivative of a factor, :math:`x / (e^x - 1)`, in the form of its row."""
    u = ratio[..., None] + y.reshape((1,) * ratio.ndim + y.shape)
    x = jnp.exp(jnp.minimum(u, 6.0))
    is_small = x < 1e-8
    safe = jnp.where(is_small, 1.0, x)
    return jnp.where(is_small, 1.0 - 0.5 * x, safe / jnp.expm1(safe))


def _over_items(log_p: jax.Array, log_rest: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The log-ratios of the items, along a leading axis, and the nodes."""
    nodes, _ = _nodes(log_p.shape[-1], log_p.dtype)
    ratios = jnp.moveaxis(log_p - log_rest[..., None], -1, 0)
    return ratios, jnp.asarray(nodes, log_p.dtype)


def _log_integrand(ratios: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The log of the integrand, as the offset ``[...]`` and ``[..., nodes]``."""

    def add(total: Any, ratio: jax.Array) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, _log_factor(ratio, y)), None

    # Item by item: a table of all of them is what there would be most of in memory.
    total = _log_factor(ratios[0], y)
    (offset, row), _ = jax.lax.scan(add, total, ratios[1:])
    return offset, row + (y - jnp.exp(y)).reshape((1,) * offset.ndim + y.shape)


def _quadrature(log_p: jax.Array, log_rest: jax.Array) -> jax.Array:
    _, step = _nodes(log_p.shape[-1], log_p.dtype)
    offset, row = _log_integrand(*_over_items(log_p, log_rest))
    return offset + jax.nn.logsumexp(row, axis=-1) + math.log(step)


def _slopes(log_p: jax.Array, log_rest: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The derivatives of the quadrature: those of the factors, averaged over nodes."""
    ratios, y = _over_items(log_p, log_rest)
    density = jax.nn.softmax(_log_integrand(ratios, y)[1], axis=-1)

    def one(ratio: jax.Array) -> jax.Array:
        return jnp.sum(density * _slope_of_factor(ratio, y), axis=-1)

    of_items = jnp.moveaxis(jax.lax.map(one, ratios), 0, -1)
    return of_items, -of_items.sum(axis=-1)


_log_set_probability = with_slopes(_quadrature, _slopes)


# The two functions are compiled here, so that a caller without jit does not dispatch
# their many small operations one by one.
@jax.jit
def log_set_probability(log_p: jax.Array, log_rest: jax.Array) -> jax.Array:
    """The log-probability that a set is drawn, differentiable to any order.

    Args:
      log_p: ``[..., k]``, finite log-probabilities of its items, of any common scale.
      log_rest: ``[...]``, finite log of the mass of all other items, on that scale.

    Returns:
      Array ``[...]``.
    """
    return _log_set_probability(log_p, log_rest)


class SetWeights(NamedTuple):
    r"""The weights of the items of a drawn set S.

    Attributes:
      first: ``[k]``, :math:`p(s) R(S, s)` with the leave-one-out ratio
        :math:`R(S, s) = p^{D\setminus s}(S\setminus s) / p(S)`; they sum to one.
      second: ``[k, k]``, :math:`p(s') R^{D\setminus s}(S, s')` in row s and column s',
        the same after s is removed from the domain, and :math:`p(s)` on the diagonal;
        rows of two items or more sum to one.
    """

    first: jax.Array
    second: jax.Array


@jax.jit
def set_weights(log_p: jax.Array, log_rest: jax.Array) -> SetWeights:
    """The leave-one-out weights of a set, of first and second order.

    Args:
      log_p: ``[k]``, normalised log-probabilities; an item of ``-inf`` gets weight
        zero.
      log_rest: the log of the mass of all other items; ``-inf`` if there is none,
        and then every ratio is 1.

    Returns:
      The weights.
    """
    nodes, _ = _nodes(log_p.shape[-1], log_p.dtype)
    y = jnp.asarray(nodes, log_p.dtype)
    is_possible = log_p != -jnp.inf
    _, table = _log_factor(log_p - log_rest, y)
    table = jnp.where(is_possible[:, None], table, 0.0)
    # All sets have the nodes in common: a ratio of two integrals is the mean of the
    # factors that are left out, under the integrand of the whole set.
    density = jax.nn.softmax(y - jnp.exp(y) + table.sum(axis=0))
    removed = jnp.exp(-table)
    weighted = density[None, :] * removed
    ratio = weighted.sum(axis=-1)
    pair_ratio = jnp.matmul(weighted, removed.T, precision=jax.lax.Precision.HIGHEST)
    # The probability over its offset, which the ratios do not have.
    rate = jnp.exp(jnp.maximum(log_p, log_rest))
    rate = jnp.where(is_possible, rate, 0.0)
    second = rate[None, :] * pair_ratio / ratio[:, None]
    is_same = jnp.eye(log_p.shape[-1], dtype=bool)
    return SetWeights(rate * ratio, jnp.where(is_same, jnp.exp(log_p)[None, :], second))
