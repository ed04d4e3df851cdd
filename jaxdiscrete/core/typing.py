"""The protocols: what an objective, a sampler and an estimator look like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
from jax.typing import ArrayLike

PyTree = Any
Shape = tuple[int, ...]
#: ``f(z, *args) -> scalar``, or ``(scalar, aux)`` with ``has_aux=True``.
Objective = Callable[..., Any]
#: ``baseline(*args) -> scalar``, or a scalar array.
Baseline = ArrayLike | Callable[..., ArrayLike]
#: ``relaxation(distribution, zeta, temperature) -> relaxed sample``.
Relaxation = Callable[["Relaxable", jax.Array, ArrayLike], jax.Array]


class Estimator(Protocol):
    """What a transform returns: ``estimate(key, q, *args) -> scalar``."""

    def __call__(self, key: jax.Array, q: PyTree, *args: Any) -> Any: ...


@runtime_checkable
class Sampler(Protocol):
    """Anything that can be sampled and scored; enough for the score function.

    A recurrent sequence model, a permutation, Poisson counts: any object with these
    two methods, whether or not it is a pytree. The estimated gradient reaches
    whatever ``log_prob`` depends on.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> import jaxdiscrete as jd
      >>> class Poisson:
      ...     def __init__(self, log_rate):
      ...         self.log_rate = log_rate
      ...     def sample(self, key):
      ...         return jax.random.poisson(key, jnp.exp(self.log_rate))
      ...     def log_prob(self, z):
      ...         return jax.scipy.stats.poisson.logpmf(z, jnp.exp(self.log_rate))
      >>> def loss(log_rate, key):
      ...     cost = lambda z: (z.astype(jnp.float32) - 3.0) ** 2
      ...     return jd.reinforce(cost, baseline=2.0)(key, Poisson(log_rate))
      >>> keys = jax.random.split(jax.random.key(0), 20_000)
      >>> grads = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(jnp.log(2.0), keys)
      >>> print(f"{grads.mean():.1f}")  # d/d log rate of rate + (rate - 3)^2 = -2
      -2.0
    """

    def sample(self, key: jax.Array) -> PyTree:
        """One sample, any pytree of arrays."""

    def log_prob(self, z: PyTree) -> jax.Array:
        """Its log-probability; an array of independent terms is summed."""


@runtime_checkable
class Reparametrisable(Sampler, Protocol):
    """A sampler with a continuous relaxation; enough for Gumbel-Softmax.

    The relaxation is a threshold of a reparametrised variable:
    ``z = threshold(zeta)`` has the distribution of ``sample``, and
    ``relax(zeta, temperature)`` is its continuous stand-in. A class with these
    operations is a registered pytree whose leaves are floating arrays, and may add
    ``validate()``, which the estimators call before any compute.
    """

    @property
    def batch_shape(self) -> Shape:
        """The shape of ``log_prob(z)``: one entry per independent variable."""

    def sample(self, key: jax.Array) -> jax.Array:
        """One sample, drawn with as few random bits as possible."""

    def log_prob(self, z: jax.Array) -> jax.Array:
        """Log-probability, of ``batch_shape``."""

    def relaxed_sample(self, key: jax.Array) -> jax.Array:
        """The pre-squashed ``zeta``, reparametrised."""

    def threshold(self, zeta: jax.Array) -> jax.Array:
        """The hard sample that belongs to ``zeta``."""

    def relax(self, zeta: jax.Array, temperature: ArrayLike) -> jax.Array:
        """The relaxed sample, in the sample's shape and dtype."""


@runtime_checkable
class Relaxable(Reparametrisable, Protocol):
    """A reparametrisable sampler with conditional noise and a mean.

    Enough for every estimator that is not of one kind of variable. ``zeta`` is
    ``location()`` plus noise, and ``log_prob`` takes relaxed values as well.
    """

    @property
    def num_states(self) -> int:
        """How many joint states ``enumerate_support`` lists."""

    def mean(self) -> jax.Array:
        """The expectation of the sample, of the sample's shape."""

    def location(self) -> jax.Array:
        """The pre-squashed value without noise."""

    def conditional_relaxed_sample(self, key: jax.Array, z: jax.Array) -> jax.Array:
        """``zeta`` given ``threshold(zeta) == z``, reparametrised, with new noise."""

    def coupled_conditional(self, zeta: jax.Array, z: jax.Array) -> jax.Array:
        """``zeta`` itself, with the derivative of the conditional sample."""

    def enumerate_support(self) -> jax.Array:
        """All joint states, along a new leading axis."""
