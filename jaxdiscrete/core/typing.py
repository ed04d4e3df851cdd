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
#: ``critic(z, *args) -> scalar``.
Critic = Callable[..., ArrayLike]
#: ``relaxation(distribution, zeta, temperature) -> relaxed sample``.
Relaxation = Callable[["Relaxable", jax.Array, ArrayLike], jax.Array]


class Estimator(Protocol):
    """The result of a transform: ``estimate(key, q, *args) -> scalar``."""

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
class Enumerable(Sampler, Protocol):
    """A sampler that can list its joint states; enough for :func:`exact`."""

    @property
    def num_states(self) -> int:
        """The number of joint states that :meth:`enumerate_support` lists."""

    def enumerate_support(self) -> jax.Array:
        """All joint states, along a new leading axis."""


@runtime_checkable
class Finite(Sampler, Protocol):
    """A sampler of independent variables with finitely many classes each.

    Enough for the estimators that count classes or couple samples: local expectations,
    sets of distinct states, antithetic pairs, ReinMax. A class with these operations is
    a registered pytree whose leaves are floating arrays, and may add ``validate()``,
    which the estimators call before any compute. One of two classes may add
    ``log_odds()``, of ``batch_shape`` in at least float32, where that is cheaper than
    the difference of two log-probabilities.

    Example:
      >>> import dataclasses, jax, jax.numpy as jnp
      >>> import jaxdiscrete as jd
      >>> @jax.tree_util.register_dataclass
      ... @dataclasses.dataclass(frozen=True)
      ... class Spins:  # -1 or 1
      ...     field: jax.Array
      ...     num_classes = 2
      ...     @property
      ...     def batch_shape(self):
      ...         return jnp.shape(self.field)
      ...     def log_probabilities(self):
      ...         both = jnp.stack([-2.0 * self.field, 2.0 * self.field], axis=-1)
      ...         return jax.nn.log_sigmoid(both)
      ...     def from_classes(self, classes):
      ...         return 2.0 * classes.astype(jnp.float32) - 1.0
      ...     def to_classes(self, z):
      ...         return (z > 0).astype(jnp.int32)
      ...     def sample(self, key):
      ...         p = jax.nn.sigmoid(2.0 * self.field)
      ...         return 2.0 * jax.random.bernoulli(key, p).astype(jnp.float32) - 1.0
      ...     def log_prob(self, z):
      ...         return jax.nn.log_sigmoid(2.0 * self.field * z)
      >>> estimate = jd.local_expectation(lambda z: 3.0 * z.sum())
      >>> gradient = jax.grad(estimate, 1)(jax.random.key(0), Spins(jnp.zeros(2)))
      >>> print(gradient.field)
      [3. 3.]
    """

    @property
    def batch_shape(self) -> Shape:
        """The shape of ``log_prob(z)``: one entry per independent variable."""

    @property
    def num_classes(self) -> int:
        """The number of classes of every variable."""

    def log_probabilities(self) -> jax.Array:
        """Normalised, ``[*batch_shape, num_classes]``, in at least float32.

        ``-inf`` for a class without probability.
        """

    def from_classes(self, classes: jax.Array) -> jax.Array:
        """The samples whose variables have these classes.

        Args:
          classes: integers ``[..., *batch_shape]``.
        """

    def to_classes(self, z: jax.Array) -> jax.Array:
        """The class of every variable of one sample, int32 of ``batch_shape``."""


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

    def mean(self) -> jax.Array:
        """The expectation of the sample, of the sample's shape."""

    def location(self) -> jax.Array:
        """The pre-squashed value without noise."""

    def conditional_relaxed_sample(self, key: jax.Array, z: jax.Array) -> jax.Array:
        """``zeta`` given ``threshold(zeta) == z``, reparametrised, with new noise."""

    def coupled_conditional(self, zeta: jax.Array, z: jax.Array) -> jax.Array:
        """``zeta`` itself, with the derivative of the conditional sample."""
