"""Distributions of other libraries as samplers of this one."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.signatures import key_keyword, takes_key_first
from jaxdiscrete.core.typing import PyTree, Reparametrisable, Sampler, Shape


def as_sampler(distribution: Any) -> Sampler:
    """A distribution of distrax, numpyro or TensorFlow Probability as a sampler.

    Any object with ``log_prob(z)`` and a ``sample`` that takes a PRNG key, first or by
    the name ``key``, ``seed``, ``rng_key`` or ``rng``. The estimators that need only
    ``sample`` and ``log_prob`` take it: :func:`reinforce`, :func:`nvil`,
    :func:`reinforce_loo`. z is what the distribution draws, an integer, a real number;
    an array of log-probabilities is summed, over batch and event alike.

    A distribution that is a pytree of floating arrays, as those of the three libraries
    are where no parameter is an integer, also goes where a variance is minimised with
    respect to parameters, or a control has a mean: :func:`control_variate`,
    :func:`reinforce_optimal_baseline`, a ``baseline=`` of :func:`reinforce` that is
    trained by the second moment.

    **Build the distribution inside the function that is differentiated**, from its
    parameters. The result is a pytree where the distribution is one, but its leaves
    are what that class stores, which need not be what it was built from: distrax
    stores normalised logits, and a gradient with respect to those alone is not the
    gradient with respect to logits.

    **Under vmap build it inside**, too. A distrax or TFP distribution with a batch of
    parameters may be mapped as it is; numpyro keeps its batch shape apart from its
    parameters and would draw samples of the unmapped shape, which is refused.

    Args:
      distribution: the distribution. One of this library is returned unchanged.

    Returns:
      A :class:`Sampler`, whose attribute ``distribution`` is the wrapped one.

    Raises:
      TypeError: if the distribution has no ``log_prob``, or no ``sample`` that takes
        a key.
      ValueError: when sampled, scored or given to an estimator, if its parameters
        have lost an axis that its batch or event shape still has.

    Example:
      >>> class Geometric:  # the way of distrax
      ...     def __init__(self, logits):
      ...         self.logits = logits
      ...     def sample(self, *, seed, sample_shape=()):
      ...         p = jax.nn.sigmoid(self.logits)
      ...         return jax.random.geometric(seed, p, sample_shape)
      ...     def log_prob(self, value):
      ...         fails = (value - 1) * jax.nn.log_sigmoid(-self.logits)
      ...         return fails + jax.nn.log_sigmoid(self.logits)
      >>> estimate = jd.reinforce_loo(lambda z: z * 1.0, num_samples=100_000)
      >>> loss = lambda a, key: estimate(key, jd.as_sampler(Geometric(a)))
      >>> print(jax.grad(loss)(0.0, jax.random.key(0)).round(1))  # of 1 + exp(-a)
      -1.0
    """
    if isinstance(distribution, Reparametrisable | _Adapter):
        return distribution
    sample = getattr(distribution, "sample", None)
    log_prob = getattr(distribution, "log_prob", None)
    if isinstance(distribution, type) or not callable(sample) or not callable(log_prob):
        got = distribution if isinstance(distribution, type) else type(distribution)
        raise TypeError(
            "Expected a distribution with sample and log_prob in "
            f"jaxdiscrete.as_sampler, got {got.__name__}. Pass an object of a class "
            "such as distrax.Categorical or numpyro.distributions.Poisson."
        )
    keyword = None
    if not takes_key_first(sample):
        keyword = key_keyword(sample)
        if keyword is None:
            raise TypeError(
                "Expected a distribution whose sample takes a PRNG key, first or by "
                "the name key, seed, rng_key or rng, in jaxdiscrete.as_sampler, got "
                f"{type(distribution).__name__}. Write a class with sample(key) and "
                "log_prob(z)."
            )
    cls = _Adapter if _leaves(distribution) is None else _PytreeAdapter
    return cls(distribution, keyword, _shapes(distribution), _declared(distribution))


@dataclasses.dataclass(frozen=True)
class _Adapter:
    """A wrapped distribution, opaque to JAX."""

    distribution: Any
    keyword: str | None
    shapes: tuple[Shape, ...]
    declared: str

    def validate(self) -> None:
        """Raises where the parameters have left their batch shape behind."""
        shapes = _shapes(self.distribution)
        if shapes != self.shapes and _declared(self.distribution) == self.declared:
            raise ValueError(
                "Expected a distribution whose batch_shape and event_shape follow its "
                f"parameters, got {type(self.distribution).__name__} with parameters "
                f"of shapes {shapes}, wrapped with {self.shapes}, and still "
                f"{self.declared}. Build and wrap it inside jax.vmap, from the mapped "
                "parameters."
            )

    def sample(self, key: jax.Array) -> PyTree:
        """One draw of the distribution."""
        self.validate()
        if self.keyword is None:
            return self.distribution.sample(key)
        return self.distribution.sample(**{self.keyword: key})

    def log_prob(self, z: PyTree) -> jax.Array:
        """Its log-probability, in the shape that the distribution gives it."""
        self.validate()
        return self.distribution.log_prob(z)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _PytreeAdapter(_Adapter):
    """A wrapped distribution that is a pytree."""

    distribution: Any
    keyword: str | None = dataclasses.field(metadata={"static": True})
    shapes: tuple[Shape, ...] = dataclasses.field(metadata={"static": True})
    declared: str = dataclasses.field(metadata={"static": True})

    @property
    def leaves_are_parameters(self) -> bool:
        """Tells whether all that it stores can be differentiated."""
        leaves = jax.tree.leaves(self.distribution)
        return bool(leaves) and all(
            jnp.issubdtype(jnp.result_type(x), jnp.floating) for x in leaves
        )


def _leaves(distribution: Any) -> list[Any] | None:
    """The leaves of a distribution, or None where JAX cannot look into it."""
    try:
        leaves = jax.tree.leaves(distribution)
    except Exception:  # some joint distributions of TFP are registered and fail
        return None
    is_opaque = len(leaves) == 1 and leaves[0] is distribution
    return None if is_opaque else leaves


def _shapes(distribution: Any) -> tuple[Shape, ...]:
    return tuple(np.shape(x) for x in _leaves(distribution) or ())


def _declared(distribution: Any) -> str:
    # As text: a joint distribution has trees of shapes, which need not be hashable.
    batch = getattr(distribution, "batch_shape", None)
    event = getattr(distribution, "event_shape", None)
    return f"batch_shape {batch}, event_shape {event}"
