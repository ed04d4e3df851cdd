"""RODEO: leave-one-out with discrete Stein operators as control variates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.checks import (
    check_can_be_stopped,
    check_count,
    check_differentiable,
    check_kind,
    check_objective,
    check_scalar,
)
from jaxdiscrete.core.latents import draw, freeze, latents
from jaxdiscrete.core.precision import wide_dtype
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.distributions import Bernoulli
from jaxdiscrete.multi_sample.mechanism import mean_of_others, samples_with_slopes
from jaxdiscrete.score_function.mechanism import (
    as_signal,
    attach_and_train,
    freeze_like_sample,
    scalar_part,
)


def rodeo(
    f: Objective,
    control: Callable[..., jax.Array],
    *,
    num_samples: int,
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

    ``jax.grad`` with respect to the arrays that ``control`` closes over is the
    gradient of the estimator's second moment, as for the critic of :func:`relax`.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      control: H, as ``control(value, change, *args) -> scalar`` of two scalars in at
        least float32: any callable, such as a small network over its parameters.
        ``args`` are stopped; features it shares with the model through a closure must
        be stopped by the caller.
      num_samples: ``K >= 2``. Static.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of K.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if f or ``control`` does not
        return one real scalar.
      TypeError: when called, if f is not differentiable in z, or if q holds anything
        but :class:`Bernoulli`.

    Example:
      >>> def loss(w, key):
      ...     q = jd.Bernoulli(jnp.zeros(2))
      ...     control = lambda value, change: w * (value + change)
      ...     return jd.rodeo(lambda z: z.sum() ** 2, control, num_samples=2)(key, q)
      >>> slope = jax.grad(loss)(0.0, jax.random.key(0))  # of the variance
      >>> print(slope.shape)
      ()

    References:
      J. Shi, Y. Zhou, J. Hwang, M. K. Titsias, L. Mackey, Gradient estimation with
      discrete Stein operators, 2022.
    """
    remedy = "The control variate of each sample comes from the others."
    check_count("rodeo", "num_samples", num_samples, 2, remedy)
    plain = scalar_part(f, has_aux)

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_kind("rodeo", q, Bernoulli, variables="binary")
        check_objective(f, key, q, args, has_aux)
        shapes = jax.eval_shape(lambda k: draw(k, q), key)
        check_differentiable("rodeo", "f", plain, shapes, args)
        check_can_be_stopped("control", args)
        frozen_args = freeze(args)
        dtype = wide_dtype(*(d.dtype for d in latents(q)))
        scalar = jax.ShapeDtypeStruct((), dtype)
        check_scalar("control", lambda x, *r: control(x, x, *r), scalar, frozen_args)

        z, values, slopes, aux = samples_with_slopes(
            f, key, q, args, num_samples, has_aux
        )
        signals = as_signal(values)
        frozen_q = freeze_like_sample(q, signals[0])
        logits = _ravel([d.location()[None] for d in latents(frozen_q)], dtype)[0]
        z, slopes = _ravel(z, dtype), _ravel(slopes, dtype)
        scores = z - jax.nn.sigmoid(logits)[None]
        flip_probabilities = jax.nn.sigmoid((1.0 - 2.0 * z) * logits[None])

        def surrogate(value: jax.Array, change: jax.Array) -> jax.Array:
            return jnp.asarray(control(value, change, *frozen_args)).astype(dtype)

        def gradient(weights: jax.Array) -> list[jax.Array]:
            return _unravel(jnp.mean(weights * scores, axis=0), q)

        def leave_one_out() -> list[jax.Array]:
            advantages = signals - mean_of_others(signals)
            return gradient(advantages.astype(dtype)[:, None])

        def stein() -> list[jax.Array]:
            h, at_flips = _surrogate_values(
                surrogate, signals.astype(dtype), slopes, z, flip_probabilities > 0
            )
            moved = jnp.mean(flip_probabilities * (at_flips - h[:, None]), axis=1)
            shared = mean_of_others(moved) - moved
            # Of A applied to h times the score, this is what the sum over flips leaves.
            return gradient(shared[:, None] + at_flips / at_flips.shape[1])

        value = attach_and_train(
            values.mean(), q, leave_one_out, (), stein, witness=signals[0]
        )
        return (value, aux) if has_aux else value

    return estimate


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
      slopes: ``[K, D]``, its derivative there.
      z: ``[K, D]``, the samples.
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
    """The leaves side by side, one row a sample."""
    rows = [x.reshape(x.shape[0], -1).astype(dtype) for x in jax.tree.leaves(tree)]
    return jnp.concatenate(rows, axis=1)


def _unravel(row: jax.Array, q: PyTree) -> list[jax.Array]:
    """One array a leaf of q, of its shape."""
    shapes = [d.batch_shape for d in latents(q)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = jnp.split(row, ends[:-1])
    return [x.reshape(shape) for x, shape in zip(parts, shapes, strict=True)]
