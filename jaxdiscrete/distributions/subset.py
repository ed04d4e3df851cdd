"""Subsets of fixed size, drawn item by item without replacement."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.numbers import check_count, known_value
from jaxdiscrete.core.placed import argmax, automatically, spec_of, top_k
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.typing import Shape
from jaxdiscrete.core.varying import match_varying_tree
from jaxdiscrete.distributions.categorical import OneHotCategorical
from jaxdiscrete.distributions.common import (
    check_below_infinity,
    check_event,
    check_logits,
    joint_states,
)
from jaxdiscrete.distributions.set_probability import log_set_probability
from jaxdiscrete.noise import noise_like, sample_gumbel


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Subset:
    r"""Independent subsets of k of n items, with k-hot samples.

    The items of a subset are drawn one after another, each in proportion to
    :math:`\pi = \mathrm{softmax}(\text{logits})` among those that are left, and their
    order is forgotten. Samples are 0. or 1. in the dtype and shape of ``logits``, k
    ones in each row. The relaxation is a top-k of Gumbels:
    ``zeta = log pi + Gumbel noise``, ``z`` the k-hot of its k largest, and k successive
    softmaxes of ``zeta / temperature``. A logit of ``-inf`` masks its item: never
    drawn, zero gradient. With k = 1 it is :class:`OneHotCategorical`.

    Args:
      logits: floating array ``[*batch_shape, n]``, unnormalised, with at least k
        entries above ``-inf`` in each row. Checked by the estimators, not at
        construction.
      k: the size of a subset, from 1 to n. Static.

    Example:
      >>> q = jd.Subset(jnp.array([0.0, 1.0, -jnp.inf, 0.0]), 2)
      >>> print(q.sample(jax.random.key(0)))
      [0. 1. 0. 1.]
      >>> print(np.exp(q.log_prob(q.enumerate_support())).round(3))
      [0.443 0.    0.114 0.    0.443 0.   ]

    References:
      J. I. Yellott, The relationship between Luce's choice axiom, Thurstone's theory
      of comparative judgment, and the double exponential distribution, 1977.
      S. M. Xie, S. Ermon, Reparameterizable subset sampling via continuous
      relaxations, 2019.
    """

    logits: jax.Array
    k: int = dataclasses.field(metadata={"static": True})

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of the logits, and so of the samples."""
        return jnp.result_type(self.logits)

    @property
    def batch_shape(self) -> Shape:
        """The shape of ``logits`` without its last axis."""
        return jnp.shape(self.logits)[:-1]

    @property
    def num_items(self) -> int:
        """The number n of items."""
        return int(jnp.shape(self.logits)[-1])

    @property
    def num_states(self) -> int:
        """The number of joint states that :meth:`enumerate_support` lists."""
        return int(math.comb(self.num_items, self.k) ** math.prod(self.batch_shape))

    def validate(self) -> None:
        """Raises TypeError or ValueError where there is no such subset."""
        check_logits("Subset", self.logits)
        if jnp.ndim(self.logits) == 0:
            raise ValueError("Expected Subset logits of shape [..., n], got a scalar.")
        check_count("Subset", "k", self.k, 1, "A subset has at least one item.")
        if self.k > self.num_items:
            raise ValueError(
                f"Expected k <= n = {self.num_items}, the length of the last axis of "
                f"Subset logits, got k = {self.k}. Ask for fewer items."
            )
        check_below_infinity("Subset", self.logits)
        known = known_value(self.logits)
        if known is None:
            return
        fewest = int((~np.isneginf(known)).sum(axis=-1).min())
        if fewest < self.k:
            raise ValueError(
                f"Expected at least k = {self.k} items above -inf in every row of "
                f"Subset logits, got a row with {fewest}. Unmask items, or ask for "
                "fewer."
            )

    def location(self) -> jax.Array:
        """The normalised log-probabilities of a first draw, in at least float32."""
        return jax.nn.log_softmax(in_float32(jnp.asarray(self.logits)), axis=-1)

    def sample(self, key: jax.Array) -> jax.Array:
        """One sample from one Gumbel per item, without a gradient path."""
        return jax.lax.stop_gradient(self.threshold(self.relaxed_sample(key)))

    def log_prob(self, z: ArrayLike) -> jax.Array:
        r"""The log-probability of a subset, whatever the order of its items.

        An integral over one variable, of relative accuracy near that of the dtype,
        in place of a sum over :math:`k!` orders.

        Args:
          z: k-hot values whose last dimensions are the shape of the logits.

        Returns:
          Array of the shape of ``z`` without its last axis, in the dtype of the
          logits; ``-inf`` for a subset with a masked item, and for values that are
          not k-hot.
        """
        logits = in_float32(jnp.asarray(self.logits))
        z = check_event("Subset", z, logits).astype(logits.dtype)
        logits = jnp.broadcast_to(logits, z.shape)
        is_chosen, is_masked = z == 1, jnp.isneginf(logits)
        is_left = ~is_chosen & ~is_masked
        is_certain = ~is_left.any(axis=-1)
        is_possible = ((z == 0) | (is_chosen & ~is_masked)).all(axis=-1)
        is_possible &= is_chosen.sum(axis=-1) == self.k
        # What has no part in the result is made finite, so that it has none in the
        # derivative either.
        finite = jnp.where(is_masked, 0.0, logits)
        rest = jnp.where(is_left | is_certain[..., None], finite, -jnp.inf)
        _, index = top_k(z, self.k)
        chosen = automatically(
            lambda x, index: jnp.take_along_axis(x, index, axis=-1),
            finite,
            index,
            out=spec_of(index),
        )
        result = log_set_probability(chosen, jax.nn.logsumexp(rest, axis=-1))
        result = jnp.where(is_certain, 0.0, result)
        result = jnp.where(is_possible, result, -jnp.inf)
        is_unknown = jnp.isnan(logits + z).any(axis=-1)
        # NaN with a derivative of NaN: a zero one would hide what went wrong.
        unknown = jnp.where(is_unknown, jnp.nan, 0.0) * finite.sum(axis=-1)
        return (result + unknown).astype(self.dtype)

    def enumerate_support(self) -> jax.Array:
        """All joint states of the batch, ``[comb(n, k)**rows, *batch_shape, n]``."""
        num_rows = math.prod(self.batch_shape)
        states = joint_states(num_rows, math.comb(self.num_items, self.k))
        rows = _subset_of_rank(states, self.num_items, self.k)
        rows = rows.reshape(-1, *self.batch_shape, self.num_items)
        return rows.astype(self.dtype)

    def relaxed_sample(self, key: jax.Array) -> jax.Array:
        """The pre-squashed relaxed sample, ``log pi + Gumbel noise``."""
        log_pi = self.location()
        return log_pi + noise_like(sample_gumbel, key, log_pi)

    def threshold(self, zeta: jax.Array) -> jax.Array:
        """The k-hot of the k largest entries."""
        top, index = top_k(zeta, self.k)

        def k_hot(index: jax.Array) -> jax.Array:
            items = jnp.arange(self.num_items, dtype=index.dtype)
            shape = (*index.shape[:-1], self.num_items, self.k)
            is_item = jnp.broadcast_to(items[:, None], shape) == index[..., None, :]
            return is_item.any(axis=-1).astype(zeta.dtype)

        z = automatically(k_hot, index, out=spec_of(zeta))
        # Fewer than k items are possible, or what is possible is unknown.
        is_undefined = jnp.isneginf(top[..., -1:]) | jnp.isnan(top).any(
            -1, keepdims=True
        )
        return jnp.where(is_undefined, jnp.nan, z).astype(self.dtype)

    def relax(self, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
        r"""The relaxed sample, a sum of k successive softmaxes.

        :math:`a_j = \mathrm{softmax}(\zeta_j/\lambda)` and
        :math:`\zeta_{j+1} = \zeta_j + \log(1 - a_j)`: what one softmax has taken is
        hidden from the next. Entries are positive and sum to k, and tend to the k-hot
        at low temperature; single ones may exceed 1.

        Args:
          zeta: pre-squashed values of the shape of the logits.
          temperature: :math:`\lambda > 0`, a scalar, or one per subset with a last axis
            of 1.

        Returns:
          Array of the shape of ``zeta`` in the dtype of the logits.
        """
        tempered = OneHotCategorical(self.logits).temper

        @jax.checkpoint
        def take_one(carry: tuple[jax.Array, jax.Array], _: None) -> Any:
            zeta, total = carry
            log_a = tempered(zeta, temperature)
            return (zeta + _log_complement(log_a), total + jnp.exp(log_a)), None

        # A loop of the program, which k must not make longer. Of every step the
        # derivative keeps zeta alone.
        like = jnp.asarray(temperature).astype(zeta.dtype)
        zeta = match_varying_tree(zeta, like)
        start = (zeta, match_varying_tree(jnp.zeros_like(zeta), zeta))
        (zeta, total), _ = jax.lax.scan(take_one, start, length=self.k - 1)
        return (total + jnp.exp(tempered(zeta, temperature))).astype(self.dtype)


def _subset_of_rank(rank: jax.Array, num_items: int, k: int) -> jax.Array:
    """The subsets of k items of these ranks in their order, k-hot, on a new last axis.

    The first ones hold the first items. An item is in, or all the subsets that hold it
    and those chosen before come earlier.
    """
    most = np.iinfo(np.int32).max
    num_with = np.zeros((num_items, k + 1), np.int32)
    for item, left in itertools.product(range(num_items), range(1, k + 1)):
        num_with[item, left] = min(math.comb(num_items - 1 - item, left - 1), most)

    def one(carry: tuple[jax.Array, jax.Array], row: jax.Array) -> Any:
        rank, left = carry
        is_in = rank < row[left]
        rank = rank - jnp.where(is_in, 0, row[left])
        return (rank, left - is_in.astype(jnp.int32)), is_in

    start = (rank, jnp.full_like(rank, k))
    _, is_in = jax.lax.scan(one, start, jnp.asarray(num_with))
    return jnp.moveaxis(is_in, 0, -1)


def _log_complement(log_a: jax.Array) -> jax.Array:
    """``log(1 - a)`` for rows of probabilities, exact also where a is nearly 1."""
    is_largest = automatically(
        lambda index: jax.nn.one_hot(index, log_a.shape[-1], dtype=bool),
        argmax(log_a),
        out=spec_of(log_a),
    )
    others = jnp.where(is_largest, -jnp.inf, log_a)
    largest = jax.nn.logsumexp(others, axis=-1, keepdims=True)
    smaller = jnp.log1p(-jnp.exp(others))
    return jnp.where(is_largest, largest, smaller)
