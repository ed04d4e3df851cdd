"""Noise from random bits, and exact sampling from one uniform per variable.

Noise is drawn from 32 random bits in float32 and is always finite. Where a tail
decides which class wins, the bits are spent on that tail: the smallest realisable
probability is about 1e-10, against 6e-8 (and uneven) for the usual 23-bit uniform.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.numbers import check_count, check_positive
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.typing import Shape

__all__ = [
    "exponential_race",
    "gumbel_max",
    "sample_exponential",
    "sample_gumbel",
    "sample_logistic",
    "sum_of_gamma",
]

# Probabilities become integers of this many units; the margin below 2**31 holds the
# rounding of two million classes.
_UNITS = 2.0**31 - 2.0**21
_BLOCK = 16


def uniform_from_bits(bits: jax.Array) -> jax.Array:
    """31 of the 32 bits as a float32 in (0, 1), exact in relative terms near 0."""
    u = ((bits >> 1).astype(jnp.int32).astype(jnp.float32) + 0.5) * 2.0**-31
    return jnp.minimum(u, 1.0 - 2.0**-24)


def sample_exponential(key: jax.Array, shape: Shape = ()) -> jax.Array:
    """Exponential(1) noise, ``-log(1 - u)``, float32, positive and finite.

    Args:
      key: PRNG key.
      shape: shape of the result. Default: a scalar.

    Returns:
      float32 array of ``shape``.

    Example:
      >>> print(jd.noise.sample_exponential(jax.random.key(0), (2,)).shape)
      (2,)
    """
    return -jnp.log1p(-uniform_from_bits(jax.random.bits(key, shape, jnp.uint32)))


def sample_gumbel(key: jax.Array, shape: Shape = ()) -> jax.Array:
    """Gumbel(0, 1) noise, ``-log(-log(u))``, float32 and finite.

    Args:
      key: PRNG key.
      shape: shape of the result. Default: a scalar.

    Returns:
      float32 array of ``shape``, between about -2.8 and 22.2.

    Example:
      >>> noise = jd.noise.sample_gumbel(jax.random.key(0), (100_000,))
      >>> print(f"{noise.mean():.2f}")  # Euler's constant, .577
      0.58
    """
    bits = jax.random.bits(key, shape, jnp.uint32)
    return gumbel_from_uniform(uniform_from_bits(bits))


def gumbel_from_uniform(u: jax.Array) -> jax.Array:
    """Gumbel(0, 1) noise from uniforms, exact where u is near 0."""
    return -jnp.log(-jnp.log1p(-u))


def sample_logistic(key: jax.Array, shape: Shape = ()) -> jax.Array:
    """Logistic(0, 1) noise, the difference of two Gumbels, from one uniform.

    Args:
      key: PRNG key.
      shape: shape of the result. Default: a scalar.

    Returns:
      float32 array of ``shape``, between about -22.9 and 22.9.

    Example:
      >>> noise = jd.noise.sample_logistic(jax.random.key(0), (100_000,))
      >>> print(f"{(noise > 0).mean():.2f}")
      0.50
    """
    bits = jax.random.bits(key, shape, jnp.uint32)
    u = 0.5 * uniform_from_bits(bits)
    magnitude = jnp.log1p(-u) - jnp.log(u)
    return jnp.where(bits & 1 == 1, magnitude, -magnitude)


def sum_of_gamma(
    k: int, *, num_terms: int = 10, temperature: float = 1.0
) -> Callable[[jax.Array, Shape], jax.Array]:
    r"""Noise of which the sum over k entries is Gumbel noise, for :func:`imle`.

    :math:`\frac{\tau}{k}\big(\sum_{i=1}^{s}\mathrm{Gamma}(1/k,\,k/i) - \log s\big)`,
    with shape and scale. Added to the scores of a decision that takes k items, it
    perturbs the score of every decision by Gumbel noise, in the limit of many terms s.

    Args:
      k: how many items a decision takes, at least 1. Static.
      num_terms: s, at least 1. Static. Default: 10.
      temperature: :math:`\tau > 0`, a scalar. Default: 1.

    Returns:
      ``noise(key, shape)``, float32.

    Raises:
      TypeError, ValueError: if k or ``num_terms`` is not a positive integer, or the
        temperature is known and not positive.

    Example:
      >>> noise = jd.noise.sum_of_gamma(4)(jax.random.key(0), (20_000, 4))
      >>> print(f"{noise.sum(-1).mean():.1f}")  # Euler's constant and 1 / (2 s)
      0.6

    References:
      M. Niepert, P. Minervini, L. Franceschi, Implicit MLE: backpropagating through
      discrete exponential family distributions, 2021.
    """
    check_count("sum_of_gamma", "k", k, 1, "Ask for one item or more.")
    check_count("sum_of_gamma", "num_terms", num_terms, 1, "10 is enough for most.")
    check_positive("temperature", temperature, "1 is standard Gumbel noise.")

    def noise(key: jax.Array, shape: Shape) -> jax.Array:
        gammas = jax.random.gamma(key, 1.0 / k, (*shape, num_terms), jnp.float32)
        total = gammas @ (k / jnp.arange(1.0, num_terms + 1.0, dtype=jnp.float32))
        return temperature / k * (total - jnp.log(jnp.float32(num_terms)))

    return noise


def gumbel_max(key: jax.Array, logits: ArrayLike) -> jax.Array:
    r"""A categorical index, :math:`\arg\max_k (\text{logits}_k + g_k)`.

    The classical construction, with one Gumbel per class. Where the noise itself is
    not needed, :class:`jaxdiscrete.OneHotCategorical` draws the same distribution
    from one uniform.

    Args:
      key: PRNG key.
      logits: ``[..., K]``, unnormalised, ``-inf`` for a masked class.

    Returns:
      int32 index of shape ``[...]``.

    Example:
      >>> print(jd.noise.gumbel_max(jax.random.key(0), jnp.array([-jnp.inf, 0.0])))
      1

    References:
      E. J. Gumbel, Statistical theory of extreme values, 1954.
    """
    logits = jnp.asarray(logits)
    noise = sample_gumbel(key, logits.shape)
    logits = in_float32(logits)
    index = jnp.argmax(logits + noise.astype(logits.dtype), axis=-1)
    return index.astype(jnp.int32)


def exponential_race(key: jax.Array, logits: ArrayLike) -> jax.Array:
    r"""A categorical index, :math:`\arg\min_k (e_k / \pi_k)` with exponential noise.

    Args:
      key: PRNG key.
      logits: ``[..., K]``, unnormalised, ``-inf`` for a masked class.

    Returns:
      int32 index of shape ``[...]``.

    Example:
      >>> logits = jnp.array([-jnp.inf, 0.0])
      >>> print(jd.noise.exponential_race(jax.random.key(0), logits))
      1
    """
    logits = jnp.asarray(logits)
    probabilities = jax.nn.softmax(in_float32(logits), axis=-1)
    arrival = sample_exponential(key, logits.shape).astype(probabilities.dtype)
    return jnp.argmin(arrival / probabilities, axis=-1).astype(jnp.int32)


def _multiply_high(a: jax.Array, b: jax.Array) -> jax.Array:
    """The high 32 bits of the 64-bit product of two uint32 arrays."""
    a_low, a_high = a & 0xFFFF, a >> 16
    b_low, b_high = b & 0xFFFF, b >> 16
    low = a_low * b_low
    middle = a_high * b_low + (low >> 16)
    cross = a_low * b_high + (middle & 0xFFFF)
    return a_high * b_high + (middle >> 16) + (cross >> 16)


class Selected(NamedTuple):
    """A class that random bits select, and what is left of them.

    Attributes:
      chosen: int32, the class.
      uniform: float32 in (0, 1), where in the share of its class they fall: what the
        bits have left to decide something else.
    """

    chosen: jax.Array
    uniform: jax.Array


def index_from_bits(bits: jax.Array, probabilities: jax.Array) -> jax.Array:
    """Inverse CDF in integer arithmetic: which class 32 random bits select.

    Float32 cumulative sums lose classes below 6e-8 and may end below the largest
    uniform, so that a masked last class is drawn. Integer sums are exact: a class
    keeps its probability to 5e-10 absolutely and zero probability stays zero. Two
    levels, blocks and then classes, avoid a cumulative sum over many classes.

    Args:
      bits: uint32 array ``[...]``.
      probabilities: ``[..., K]``, float32 or wider, each row summing to one.

    Returns:
      int32 index ``[...]``; meaningless where a row of probabilities is NaN.
    """
    return select_from_bits(bits, probabilities).chosen


def select_from_bits(bits: jax.Array, probabilities: jax.Array) -> Selected:
    """As :func:`index_from_bits`, with what is left of the bits.

    Args:
      bits: uint32 array ``[...]``.
      probabilities: ``[..., K]``, of the shape of ``bits`` or one that broadcasts.

    Returns:
      Index and rest.
    """
    num_classes = probabilities.shape[-1]
    units = jnp.round(probabilities * _UNITS).astype(jnp.int32)
    if num_classes <= _BLOCK:
        ends = jnp.cumsum(units, axis=-1, dtype=jnp.int32)
        target = _multiply_high(bits, ends[..., -1].astype(jnp.uint32))
        return _within(units, ends, target.astype(jnp.int32))
    num_blocks = math.ceil(num_classes / _BLOCK)
    padding = [(0, 0)] * (units.ndim - 1) + [(0, num_blocks * _BLOCK - num_classes)]
    units = jnp.pad(units, padding).reshape(*units.shape[:-1], num_blocks, _BLOCK)
    in_block = units.sum(axis=-1, dtype=jnp.int32)
    block_ends = jnp.cumsum(in_block, axis=-1, dtype=jnp.int32)
    total = block_ends[..., -1].astype(jnp.uint32)
    target = _multiply_high(bits, total).astype(jnp.int32)
    block = jnp.sum(block_ends <= target[..., None], axis=-1, dtype=jnp.int32)
    block = jnp.minimum(block, num_blocks - 1)
    start = jnp.take_along_axis(block_ends - in_block, block[..., None], axis=-1)
    row = jnp.take_along_axis(units, block[..., None, None], axis=-2)[..., 0, :]
    ends = jnp.cumsum(row, axis=-1, dtype=jnp.int32)
    within = _within(row, ends, target - start[..., 0])
    return within._replace(chosen=block * _BLOCK + within.chosen)


def _within(units: jax.Array, ends: jax.Array, target: jax.Array) -> Selected:
    """The class whose units hold the target, and where among them it lies."""
    is_before = ends <= target[..., None]
    index = jnp.sum(is_before, axis=-1, dtype=jnp.int32)
    start = jnp.sum(jnp.where(is_before, units, 0), axis=-1, dtype=jnp.int32)
    end = jnp.min(jnp.where(is_before, jnp.iinfo(jnp.int32).max, ends), axis=-1)
    size = (end - start).astype(jnp.float32)
    uniform = ((target - start).astype(jnp.float32) + 0.5) / size
    return Selected(index, jnp.minimum(uniform, 1.0 - 2.0**-24))
