"""Independent Bernoulli variables and their binary Concrete relaxation."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.rules import softplus
from jaxdiscrete.core.typing import Shape
from jaxdiscrete.distributions.common import (
    check_event,
    check_logits,
    check_same_shape,
    joint_states,
)
from jaxdiscrete.noise import noise_like, sample_logistic


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Bernoulli:
    r"""Independent Bernoulli variables, :math:`p = \sigma(\text{logits})`.

    Samples are 0. or 1. in the dtype and shape of ``logits``. The relaxation is the
    binary Concrete: ``zeta = logits + logistic noise``, ``z = zeta > 0``,
    ``sigmoid(zeta / temperature)``. Infinite logits are ordinary.

    Args:
      logits: floating array of any shape, one variable per entry. Nothing is checked
        at construction, so that tree operations may put anything here; estimators
        check before they compute.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.0, 2.0, -1.0]))
      >>> print(q.sample(jax.random.key(1)))
      [1. 1. 0.]
      >>> print(np.asarray(q.log_prob(jnp.array([1.0, 1.0, 0.0]))).round(3))
      [-0.693 -0.127 -0.313]

    References:
      C. J. Maddison, A. Mnih, Y. W. Teh, The Concrete distribution, 2017.
    """

    logits: jax.Array

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of the logits, and so of the samples."""
        return jnp.result_type(self.logits)

    @property
    def batch_shape(self) -> Shape:
        """The shape of ``logits``."""
        return jnp.shape(self.logits)

    @property
    def num_classes(self) -> int:
        """The number of classes, 2."""
        return 2

    @property
    def num_states(self) -> int:
        """The number of joint states that :meth:`enumerate_support` lists."""
        return int(2 ** math.prod(self.batch_shape))

    def validate(self) -> None:
        """Raises TypeError or ValueError where the logits cannot be sampled."""
        check_logits("Bernoulli", self.logits)

    def location(self) -> jax.Array:
        """The logits in at least float32, infinities clipped to finite values."""
        logits = in_float32(jnp.asarray(self.logits))
        limits = jnp.finfo(logits.dtype)
        clipped = jax.lax.clamp(limits.min, logits, limits.max)
        # The derivative of a clamp is zero at NaN, and would hide what went wrong.
        return jnp.where(jnp.isnan(logits), logits, clipped)

    def sample(self, key: jax.Array) -> jax.Array:
        """One sample from one uniform per variable, without a gradient path."""
        logits = jax.lax.stop_gradient(self.location())
        u = noise_like(_bits_in_float32, key, logits) * 2.0**-32
        # The rarer of the two values is decided near u = 0, where it is exact.
        is_rare = u < jax.nn.sigmoid(-jnp.abs(logits))
        z = jnp.logical_xor(logits > 0, is_rare).astype(logits.dtype)
        return jnp.where(jnp.isnan(logits), jnp.nan, z).astype(self.dtype)

    def log_prob(self, z: ArrayLike) -> jax.Array:
        """``z * logits - softplus(logits)``, of shape ``[..., *batch_shape]``.

        Args:
          z: values in [0, 1], relaxed ones included, whose last dimensions are the
            shape of the logits.

        Returns:
          Array of the shape of ``z`` in the dtype of the logits.
        """
        logits = self.location()
        z = check_event("Bernoulli", z, logits).astype(logits.dtype)
        result = z * logits - softplus(logits)
        return result.astype(self.dtype)

    def mean(self) -> jax.Array:
        """``sigmoid(logits)``."""
        return jax.nn.sigmoid(self.location()).astype(self.dtype)

    def entropy(self) -> jax.Array:
        """The entropy in nats, of ``batch_shape``."""
        size = jnp.abs(self.location())
        result = softplus(-size) + size * jax.nn.sigmoid(-size)
        return result.astype(self.dtype)

    def kl_divergence(self, other: Bernoulli) -> jax.Array:
        """KL(self, other) in nats, of ``batch_shape``."""
        ours, theirs = self.location(), other.location()
        check_same_shape("Bernoulli", ours, theirs)
        result = jax.nn.sigmoid(ours) * (softplus(-theirs) - softplus(-ours))
        result += jax.nn.sigmoid(-ours) * (softplus(theirs) - softplus(ours))
        return result.astype(self.dtype)

    def log_probabilities(self) -> jax.Array:
        """The log-probabilities, ``[*batch_shape, 2]``, in at least float32."""
        logits = in_float32(jnp.asarray(self.logits))
        # From the location, whose derivative at an infinite logit is zero.
        location = self.location()
        table = -softplus(jnp.stack([location, -location], axis=-1))
        return _without_impossible(table, jnp.stack([-logits, logits], axis=-1))

    def log_odds(self) -> jax.Array:
        """The logits in at least float32, infinities clipped to finite values."""
        return self.location()

    def from_classes(self, classes: ArrayLike) -> jax.Array:
        """The samples of classes 0 or 1, ``[..., *batch_shape]``."""
        z = jnp.asarray(classes).astype(self.dtype)
        is_unknown = jnp.broadcast_to(jnp.isnan(self.logits), z.shape)
        return jnp.where(is_unknown, jnp.nan, z).astype(self.dtype)

    def to_classes(self, z: ArrayLike) -> jax.Array:
        """0 or 1 for every variable, int32."""
        return (jnp.asarray(z) > 0.5).astype(jnp.int32)

    def enumerate_support(self) -> jax.Array:
        """All joint states of the batch, ``[2**n, *batch_shape]``."""
        states = joint_states(math.prod(self.batch_shape), 2)
        shaped = states.reshape(-1, *self.batch_shape)
        return jnp.asarray(shaped, self.dtype)

    def relaxed_sample(self, key: jax.Array) -> jax.Array:
        """The pre-squashed relaxed sample, ``logits + logistic noise``."""
        location = self.location()
        return location + noise_like(sample_logistic, key, location)

    def threshold(self, zeta: jax.Array) -> jax.Array:
        """``zeta > 0`` as a sample."""
        z = jnp.where(jnp.isnan(zeta), jnp.nan, (zeta > 0).astype(zeta.dtype))
        return z.astype(self.dtype)

    def conditional_relaxed_sample(self, key: jax.Array, z: ArrayLike) -> jax.Array:
        """``zeta`` given the hard sample ``z``, reparametrised in the logits."""
        location = self.location()
        is_one = check_event("Bernoulli", z, location) > 0.5
        sign = jnp.where(is_one, 1.0, -1.0).astype(location.dtype)
        noise = noise_like(sample_logistic, key, location)
        # log(v / ((1 - v)(1 - p)) + 1) in log space, mirrored for z = 0.
        return sign * softplus(noise + softplus(sign * location))

    def coupled_conditional(self, zeta: jax.Array, z: ArrayLike) -> jax.Array:
        """``zeta`` with the derivative of the conditional sample at that value."""
        location = self.location()
        is_one = check_event("Bernoulli", z, location) > 0.5
        probability = jax.nn.sigmoid(jnp.where(is_one, location, -location))
        slope = -jnp.expm1(-jnp.abs(zeta)) * probability
        moving = location - jax.lax.stop_gradient(location)
        return jax.lax.stop_gradient(zeta) + jax.lax.stop_gradient(slope) * moving

    def temper(self, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
        """The logit of the relaxed sample, ``zeta / temperature``."""
        return zeta / jnp.asarray(temperature).astype(zeta.dtype)

    def relax(self, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
        """The relaxed sample, ``sigmoid(zeta / temperature)``."""
        s = jax.nn.sigmoid(self.temper(zeta, temperature))
        return s.astype(self.dtype)

    def relaxed_log_prob(self, y: jax.Array, temperature: ArrayLike) -> jax.Array:
        r"""Log-density of the relaxation at its pre-squashed value.

        :math:`\log\lambda - \lambda y + a - 2\log(1 + e^{a - \lambda y})` for logits
        :math:`a`. The density of ``sigmoid(y)`` itself overflows on its own samples
        at low temperatures; this one is finite, and the Jacobian of the squashing
        cancels in every ratio of two relaxed densities.

        Args:
          y: ``temper(zeta, temperature)``, the logit of the relaxed sample.
          temperature: positive scalar, or one per variable.

        Returns:
          Array of ``batch_shape`` in at least float32.
        """
        t = jnp.asarray(temperature).astype(y.dtype)
        offset = self.location() - t * y
        return jnp.log(t) + offset - 2.0 * softplus(offset)


def _bits_in_float32(key: jax.Array, shape: Shape) -> jax.Array:
    return jax.random.bits(key, shape, jnp.uint32).astype(jnp.float32)


# Compiled, so that jax_debug_infs does not stop at the constant where nothing is
# impossible.
@jax.jit
def _without_impossible(table: jax.Array, logits: jax.Array) -> jax.Array:
    return jnp.where(jnp.isneginf(logits), -jnp.inf, table)
