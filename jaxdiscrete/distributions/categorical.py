"""Independent one-hot categorical variables and their Concrete relaxation."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jax.typing import ArrayLike

from jaxdiscrete.core.numbers import known_value
from jaxdiscrete.core.placed import argmax, automatically, axes
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.typing import Shape
from jaxdiscrete.distributions.common import (
    check_below_infinity,
    check_event,
    check_logits,
    check_same_shape,
    joint_states,
)
from jaxdiscrete.noise import index_from_bits, noise_like, sample_gumbel


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class OneHotCategorical:
    r"""Independent categorical variables with one-hot samples.

    The last axis of ``logits`` holds the K classes, :math:`\pi` is its softmax;
    samples are one-hot in the dtype and shape of ``logits``. The relaxation is the
    Concrete or Gumbel-Softmax: ``zeta = log pi + Gumbel noise``, ``z`` the one-hot
    of its argmax, ``softmax(zeta / temperature)``. A logit of ``-inf`` masks its
    class: never drawn, zero gradient.

    Args:
      logits: floating array ``[*batch_shape, K]``, unnormalised. Checked by the
        estimators, not at construction.

    Example:
      >>> q = jd.OneHotCategorical(jnp.array([0.0, 1.0, -jnp.inf]))
      >>> print(q.sample(jax.random.key(0)))
      [0. 1. 0.]
      >>> print(np.asarray(q.mean()).round(3))
      [0.269 0.731 0.   ]

    References:
      C. J. Maddison, A. Mnih, Y. W. Teh, The Concrete distribution, 2017.
      E. Jang, S. Gu, B. Poole, Categorical reparameterization with Gumbel-Softmax,
      2017.
    """

    logits: jax.Array

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of the logits, and so of the samples."""
        return jnp.result_type(self.logits)

    @property
    def batch_shape(self) -> Shape:
        """The shape of ``logits`` without its last axis."""
        return jnp.shape(self.logits)[:-1]

    @property
    def num_classes(self) -> int:
        """The number K of classes."""
        return int(jnp.shape(self.logits)[-1])

    @property
    def num_states(self) -> int:
        """The number of joint states that :meth:`enumerate_support` lists."""
        return int(self.num_classes ** math.prod(self.batch_shape))

    def validate(self) -> None:
        """Raises TypeError or ValueError where the logits cannot be sampled."""
        check_logits("OneHotCategorical", self.logits)
        if jnp.ndim(self.logits) == 0:
            raise ValueError(
                "Expected OneHotCategorical logits of shape [..., K], got a scalar."
            )
        check_below_infinity("OneHotCategorical", self.logits)
        known = known_value(self.logits)
        if known is not None and np.isneginf(known).all(axis=-1).any():
            raise ValueError(
                "Expected at least one class above -inf in every row of "
                "OneHotCategorical logits, got a row of only -inf. Unmask a class, "
                "or drop the row."
            )

    def location(self) -> jax.Array:
        """The normalised log-probabilities, in at least float32."""
        return jax.nn.log_softmax(in_float32(jnp.asarray(self.logits)), axis=-1)

    def sample(self, key: jax.Array) -> jax.Array:
        """One sample from one uniform per variable, without a gradient path."""
        logits = jax.lax.stop_gradient(in_float32(jnp.asarray(self.logits)))
        probabilities = jax.nn.softmax(logits, axis=-1)
        bits = jax.random.bits(key, logits.shape[:-1], jnp.uint32)
        return self._one_hot(index_from_bits(bits, probabilities), probabilities)

    def _one_hot(self, index: jax.Array, like: jax.Array) -> jax.Array:
        def one_hot(index: jax.Array, like: jax.Array) -> jax.Array:
            z = jax.nn.one_hot(index, self.num_classes, dtype=like.dtype)
            is_unknown = jnp.broadcast_to(jnp.isnan(like), z.shape)
            return jnp.where(is_unknown, jnp.nan, z).astype(self.dtype)

        leading = axes(index)[: index.ndim + 1 - like.ndim]
        spec = PartitionSpec(*leading, *axes(like))
        return automatically(one_hot, index, like, out=spec)

    def log_prob(self, z: ArrayLike) -> jax.Array:
        """``sum_k z_k log pi_k``, of shape ``[..., *batch_shape]``.

        Args:
          z: one-hot or relaxed values whose last dimensions are the shape of the
            logits.

        Returns:
          Array of the shape of ``z`` without its last axis, in the dtype of the
          logits; ``-inf`` for a masked class.
        """
        log_pi = self.location()
        z = check_event("OneHotCategorical", z, log_pi).astype(log_pi.dtype)
        is_masked = jnp.isneginf(log_pi)
        terms = z * jnp.where(is_masked, 0.0, log_pi)
        terms = jnp.where(is_masked & (z > 0), -jnp.inf, terms)
        return terms.sum(axis=-1).astype(self.dtype)

    def mean(self) -> jax.Array:
        """``softmax(logits)``."""
        probabilities = jax.nn.softmax(in_float32(jnp.asarray(self.logits)), axis=-1)
        return probabilities.astype(self.dtype)

    def entropy(self) -> jax.Array:
        """The entropy in nats, of ``batch_shape``."""
        log_pi = self.location()
        finite = jnp.where(jnp.isneginf(log_pi), 0.0, log_pi)
        result = -jnp.sum(jnp.exp(log_pi) * finite, axis=-1)
        return result.astype(self.dtype)

    def kl_divergence(self, other: OneHotCategorical) -> jax.Array:
        """KL(self, other) in nats, of ``batch_shape``; ``inf`` where other masks."""
        ours, theirs = self.location(), other.location()
        check_same_shape("OneHotCategorical", ours, theirs)
        is_masked = jnp.isneginf(ours)
        is_impossible = jnp.isneginf(theirs)
        ratio = jnp.where(is_masked, 0.0, ours) - jnp.where(is_impossible, 0.0, theirs)
        terms = jnp.exp(ours) * jnp.where(is_masked, 0.0, ratio)
        terms = jnp.where(is_impossible & ~is_masked, jnp.inf, terms)
        return terms.sum(axis=-1).astype(self.dtype)

    def log_probabilities(self) -> jax.Array:
        """The log-probabilities, ``[*batch_shape, K]``, in at least float32."""
        return self.location()

    def from_classes(self, classes: ArrayLike) -> jax.Array:
        """The one-hot samples of classes ``[..., *batch_shape]``."""
        return self._one_hot(jnp.asarray(classes), self.location())

    def to_classes(self, z: ArrayLike) -> jax.Array:
        """The class of every variable, int32."""
        return argmax(jnp.asarray(z))

    def enumerate_support(self) -> jax.Array:
        """All joint states of the batch, ``[K**n, *batch_shape, K]``."""
        states = joint_states(math.prod(self.batch_shape), self.num_classes)
        index = jnp.asarray(states.reshape(-1, *self.batch_shape))
        return jax.nn.one_hot(index, self.num_classes, dtype=self.dtype)

    def relaxed_sample(self, key: jax.Array) -> jax.Array:
        """The pre-squashed relaxed sample, ``log pi + Gumbel noise``."""
        log_pi = self.location()
        return log_pi + noise_like(sample_gumbel, key, log_pi)

    def threshold(self, zeta: jax.Array) -> jax.Array:
        """The one-hot of the argmax."""
        return self._one_hot(argmax(zeta), zeta)

    def conditional_relaxed_sample(self, key: jax.Array, z: ArrayLike) -> jax.Array:
        """``zeta`` given the hard sample ``z``, reparametrised in the logits."""
        log_pi = self.location()
        is_chosen = check_event("OneHotCategorical", z, log_pi) > 0.5
        is_masked = jnp.isneginf(log_pi)
        noise = noise_like(sample_gumbel, key, log_pi)
        # The maximum of normalised Gumbels is a standard Gumbel whoever wins, and
        # the others are Gumbels truncated at it.
        top = jnp.sum(jnp.where(is_chosen, noise, 0.0), axis=-1, keepdims=True)
        free = jnp.where(is_masked, 0.0, log_pi) + noise
        truncated = -jnp.logaddexp(-free, -top)
        below = jax.lax.stop_gradient(jnp.nextafter(top, -jnp.inf))
        truncated = jnp.where(truncated < top, truncated, below)
        zeta = jnp.where(is_chosen, top, truncated)
        return jnp.where(is_masked & ~is_chosen, -jnp.inf, zeta)

    def coupled_conditional(self, zeta: jax.Array, z: ArrayLike) -> jax.Array:
        """``zeta`` with the derivative of the conditional sample at that value."""
        log_pi = self.location()
        is_chosen = check_event("OneHotCategorical", z, log_pi) > 0.5
        top = jnp.sum(jnp.where(is_chosen, zeta, 0.0), axis=-1, keepdims=True)
        slope = -jnp.expm1(zeta - top)
        finite = jnp.where(jnp.isneginf(log_pi), 0.0, log_pi)
        moving = finite - jax.lax.stop_gradient(finite)
        return jax.lax.stop_gradient(zeta) + jax.lax.stop_gradient(slope) * moving

    def temper(self, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
        """The logarithm of the relaxed sample, ``log_softmax(zeta / temperature)``."""
        return jax.nn.log_softmax(_divide(zeta, temperature), axis=-1)

    def relax(self, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
        """The relaxed sample, ``softmax(zeta / temperature)``."""
        s = jax.nn.softmax(_divide(zeta, temperature), axis=-1)
        return s.astype(self.dtype)

    def relaxed_log_prob(self, y: jax.Array, temperature: ArrayLike) -> jax.Array:
        r"""Log-density of the relaxation at its logarithm (ExpConcrete).

        :math:`\log (K-1)! + (K-1)\log\lambda + \sum_k(a_k - \lambda y_k)
        - K \log\sum_k e^{a_k - \lambda y_k}` for normalised logits :math:`a`, over
        the classes that are not masked. It is the density in the coordinates
        :math:`y_k - y_K`, finite where that on the simplex overflows.

        Args:
          y: ``temper(zeta, temperature)``, the logarithm of the relaxed sample.
          temperature: positive scalar, or one per variable, of ``batch_shape``.

        Returns:
          Array of ``batch_shape`` in at least float32.
        """
        log_pi = self.location()
        t = jnp.asarray(temperature).astype(y.dtype)
        log_t = jnp.log(t)
        t = t[..., None] if t.ndim else t
        is_masked = jnp.isneginf(log_pi)
        offset = jnp.where(is_masked, 0.0, log_pi) - t * jnp.where(is_masked, 0.0, y)
        count = jnp.sum(~is_masked, axis=-1).astype(y.dtype)
        normaliser = jax.nn.logsumexp(jnp.where(is_masked, -jnp.inf, offset), axis=-1)
        constant = jax.scipy.special.gammaln(count) + (count - 1.0) * log_t
        return constant + offset.sum(axis=-1) - count * normaliser


def _divide(zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
    # The derivative of -inf / t is inf * 0: masked classes leave before the division.
    is_masked = jnp.isneginf(zeta)
    finite = jnp.where(is_masked, 0.0, zeta)
    scaled = finite / jnp.asarray(temperature).astype(zeta.dtype)
    return jnp.where(is_masked, -jnp.inf, scaled)
