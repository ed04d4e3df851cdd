"""RODEO: leave-one-out with discrete Stein operators as control variates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.checks import check_args_are_arrays, check_scalar
from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.latents import (
    freeze,
    latents,
    log_odds,
    map_latents,
    pull_through,
)
from jaxdiscrete.core.needs import BINARY
from jaxdiscrete.core.placed import WHOLE, automatically, specs_of
from jaxdiscrete.core.precision import at_least_float32
from jaxdiscrete.core.typing import Critic, Estimator, Finite, Objective, PyTree
from jaxdiscrete.multi_sample.mechanism import Samples, multi_sample_with_slopes
from jaxdiscrete.multi_sample.others import less_mean_of_others, mean_of_others


@facts(
    calls=EVERY_SAMPLE,
    needs=BINARY,
    differentiates=True,
    reference="Shi et al. 2022",
)
def rodeo(
    f: Objective,
    surrogate: Critic,
    *,
    num_samples: int,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Leave-one-out with Stein control variates, for binary variables.

    A small function H of the value :math:`f_j` at a sample and of the first-order
    change from it, :math:`f'(z_j)\cdot(y - z_j)`, stands in for f: from the other
    samples alone, :math:`h_k(y) = \frac{1}{K-1}\sum_{j\ne k}
    H(f_j, f'(z_j)\cdot(y - z_j))`. The Stein operator of Gibbs sampling, for D bits,

    .. math:: (Ah)(y) = \frac1D\sum_i E_q[h \mid y_{-i}] - h(y),

    turns functions into ones of mean zero: here h itself, for the baselines, and h
    times the score, for the gradient. The gradient estimate is

    .. math:: \frac1K\sum_k \Big(f_k - \frac{1}{K-1}\sum_{j\ne k}
              \big(f_j + (Ah_j)(z_j)\big)\Big)\nabla_\phi\log q_\phi(z_k)
              + (A\,h_k\nabla_\phi\log q_\phi)(z_k).

    Unbiased for every H; for H = 0 it is :func:`reinforce_loo`. ``K`` calls of ``f``
    and one derivative each, at the hard samples: f must be differentiable in z there.
    H runs ``K (K - 1) (D + 1)`` times, vmapped over pairs of samples and flips of one
    bit, and is never differentiated in its inputs.

    ``jax.grad`` with respect to the arrays that ``surrogate`` closes over is the
    gradient of the estimator's second moment, as for the critic of :func:`relax`.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      surrogate: H, as ``surrogate(value, change, *args) -> scalar`` of two scalars in
        at least float32: any callable, such as a small network over its parameters.
        ``args`` are stopped; features it shares with the model through a closure must
        be stopped by the caller.
      num_samples: ``K >= 2``. Static.
      chunk_size: how many samples run at a time, as in :func:`reinforce_loo`. Static.
        Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of K. What leaves through aux gets no credit for what happens to it
        later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if f or ``surrogate`` does not
        return one real scalar.
      TypeError: when called, if f is not differentiable in z, or if q holds anything
        but binary variables.

    Example:
      >>> def loss(w, key):
      ...     q = jd.Bernoulli(jnp.zeros(2))
      ...     surrogate = lambda value, change: w * (value + change)
      ...     return jd.rodeo(lambda z: z.sum() ** 2, surrogate, num_samples=2)(key, q)
      >>> slope = jax.grad(loss)(0.0, jax.random.key(0))  # of the variance
      >>> print(slope.shape)
      ()

    References:
      J. Shi, Y. Zhou, J. Hwang, M. K. Titsias, L. Mackey, Gradient estimation with
      discrete Stein operators, 2022.
    """

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        check_args_are_arrays("surrogate", args)
        scalar = jax.ShapeDtypeStruct((), _dtype(q))
        check_scalar("surrogate", lambda x, *r: surrogate(x, x, *r), scalar, args)

    def leave_one_out(samples: Samples) -> PyTree:
        bits = automatically(_bits, samples.q, samples.z, out=WHOLE)
        advantages = less_mean_of_others(samples.signals).astype(bits.dtype)
        return _gradient(samples.q, bits, advantages[:, None])

    def stein(samples: Samples, args: tuple[Any, ...]) -> PyTree:
        q, z, signals, slopes = samples
        frozen_args, dtype = freeze(args), _dtype(q)
        bits = automatically(_bits, q, z, out=WHOLE)
        flips = automatically(_flips, q, slopes, out=WHOLE)
        odds = automatically(_logits, q, out=WHOLE)
        flip_probabilities = jax.nn.sigmoid((1.0 - 2.0 * bits) * odds)

        def of_pair(value: jax.Array, change: jax.Array) -> jax.Array:
            return jnp.asarray(surrogate(value, change, *frozen_args)).astype(dtype)

        h, at_flips = _surrogate_values(
            of_pair, signals.astype(dtype), flips, bits, flip_probabilities > 0
        )
        moved = jnp.mean(flip_probabilities * (at_flips - h[:, None]), axis=1)
        shared = mean_of_others(moved) - moved
        # Of A applied to h times the score, this is what the sum over flips leaves.
        return _gradient(q, bits, shared[:, None] + at_flips / at_flips.shape[1])

    return multi_sample_with_slopes(
        "rodeo",
        f,
        leave_one_out,
        live_control=stein,
        num_samples=num_samples,
        remedy="The control variate of each sample comes from the others.",
        chunk_size=chunk_size,
        sharding=sharding,
        needs=BINARY,
        has_aux=has_aux,
        check=check,
    )


def _gradient(q: PyTree, bits: jax.Array, weights: jax.Array) -> PyTree:
    """The mean over samples of the scores, weighted.

    Args:
      q: pytree of binary distributions.
      bits: ``[samples, variables]``.
      weights: ``[samples, variables]``, or of one column for all.

    Returns:
      A pytree of q's structure.
    """

    def of(q: PyTree, bits: jax.Array, weights: jax.Array) -> PyTree:
        scores = bits - jax.nn.sigmoid(_logits(q))
        row = jnp.mean(weights * scores, axis=0)
        return pull_through(log_odds, q, _unravel(row, q))

    return automatically(of, q, bits, weights, out=specs_of(q))


def _logits(q: PyTree) -> jax.Array:
    """The log-odds of every bit: ``[1, variables]``."""
    return _ravel([log_odds(d)[None] for d in latents(q)], _dtype(q))


def _dtype(q: PyTree) -> Any:
    shapes = [jax.eval_shape(log_odds, d) for d in latents(q)]
    return at_least_float32(*(x.dtype for x in shapes))


def _bits(q: PyTree, z: PyTree) -> jax.Array:
    """Samples, along a leading axis, as bits: ``[samples, variables]``."""
    bits = map_latents(lambda d, x: jax.vmap(d.to_classes)(x), q, z)
    return _ravel(bits, _dtype(q))


def _flips(q: PyTree, slopes: PyTree) -> jax.Array:
    """The first-order change of f from a bit of 0 to 1, where it has these slopes.

    Args:
      q: pytree of binary distributions.
      slopes: the derivative of f at samples along a leading axis.

    Returns:
      ``[samples, variables]``.
    """
    dtype = _dtype(q)

    def one(d: Finite, slope: jax.Array) -> jax.Array:
        step = d.from_classes(jnp.ones(d.batch_shape, jnp.int32))
        step -= d.from_classes(jnp.zeros(d.batch_shape, jnp.int32))
        change = slope.astype(dtype) * step.astype(dtype)[None]
        return change.reshape(*change.shape[: 1 + len(d.batch_shape)], -1).sum(-1)

    return _ravel(map_latents(one, q, slopes), dtype)


def _surrogate_values(
    surrogate: Callable[[jax.Array, jax.Array], jax.Array],
    signals: jax.Array,
    slopes: jax.Array,
    z: jax.Array,
    is_possible: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The mean surrogate of the other samples, at each sample and its flips.

    Args:
      surrogate: H, of two scalars.
      signals: ``[K]``, f at the samples.
      slopes: ``[K, D]``, its derivative in every bit there.
      z: ``[K, D]``, the bits of the samples.
      is_possible: ``[K, D]``, whether the sample with that bit flipped has any
        probability; where not, the sample takes its place.

    Returns:
      ``[K]`` at the samples, and ``[K, D]`` with one bit flipped.
    """
    num_samples = len(signals)
    others = np.array(
        [[j for j in range(num_samples) if j != k] for k in range(num_samples)]
    )
    here = jnp.sum(slopes[others] * (z[:, None] - z[others]), axis=-1, keepdims=True)
    flip = jnp.where(is_possible, 1.0 - 2.0 * z, 0.0)
    changes = jnp.concatenate([here, here + slopes[others] * flip[:, None]], axis=-1)
    pairs = jax.vmap(jax.vmap(jax.vmap(surrogate, (None, 0))))
    h = jnp.mean(pairs(signals[others], changes), axis=1)
    return h[:, 0], h[:, 1:]


def _ravel(tree: PyTree, dtype: Any) -> jax.Array:
    """The leaves side by side, one row per sample."""
    rows = [x.reshape(x.shape[0], -1).astype(dtype) for x in jax.tree.leaves(tree)]
    return jnp.concatenate(rows, axis=1)


def _unravel(row: jax.Array, q: PyTree) -> list[jax.Array]:
    """One array per leaf of q, of its batch shape."""
    shapes = [d.batch_shape for d in latents(q)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = jnp.split(row, ends[:-1])
    return [x.reshape(shape) for x, shape in zip(parts, shapes, strict=True)]
