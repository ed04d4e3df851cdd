"""The unordered-set estimator: samples without replacement, whatever their order."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.needs import FINITE
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.distributions.set_probability import SetWeights, set_weights
from jaxdiscrete.enumeration.mechanism import WeightedStates, weighted_states
from jaxdiscrete.enumeration.states import sample_without_replacement


@facts(calls=EVERY_SAMPLE, needs=FINITE, reference="Kool et al. 2020")
def unordered_set(
    f: Objective,
    *,
    num_samples: int,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator of a set of distinct samples, with its own baseline.

    A set S of K joint states is drawn without replacement. With the leave-one-out
    ratio :math:`R(S,s) = p^{D\setminus s}(S\setminus s) / p(S)`, and
    :math:`R^{D\setminus s}` the same after s has left the domain D, the gradient
    estimate is

    .. math:: \sum_{s\in S} p(s) R(S,s) \Big(f(s) -
       \sum_{s'\in S} p(s') R^{D\setminus s}(S,s') f(s')\Big)\,\nabla_\phi\log p(s)

    Unbiased, and exact where S is all of the possible states. It gains on
    :func:`reinforce_loo` where few states hold most of the mass, and equals it where
    a state would hardly ever be drawn twice. ``K`` calls of ``f``, which need not be
    differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``K >= 2``, at most the number of joint states. Static.
      chunk_size: at how many states f runs at a time, each chunk recomputed in the
        backward pass. Static. Default: all at once.
      sharding: where the states lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of K. What leaves through aux gets no credit for what happens to it
        later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the unbiased
      :math:`\sum_s p(s) R(S,s) f(s)`. Reverse mode, first order. Batch with
      :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if q has fewer joint states, or
        if f does not return one real scalar.
      TypeError: when called, if q holds anything but variables with classes.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.unordered_set(lambda z: z.sum(), num_samples=8)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(3))
      [0.25 0.25 0.25]

    References:
      W. Kool, H. van Hoof, M. Welling, Estimating gradients for discrete random
      variables by sampling without replacement, 2020.
      W. Kool, H. van Hoof, M. Welling, Stochastic beams and where to find them: the
      Gumbel-top-k trick for sampling sequences without replacement, 2019.
    """
    remedy = "With one sample use jaxdiscrete.reinforce or jaxdiscrete.nvil."
    check_count("unordered_set", "num_samples", num_samples, 2, remedy)

    def states(key: jax.Array, q: PyTree) -> WeightedStates:
        drawn = sample_without_replacement(key, q, num_samples)
        weights = set_weights(drawn.log_probs, drawn.log_rest)
        return WeightedStates(drawn.choices, weights.first, weights)

    def signal(
        value: jax.Array,
        q: PyTree,
        z: PyTree,
        values: jax.Array,
        states: WeightedStates,
        args: tuple[Any, ...],
    ) -> tuple[jax.Array, jax.Array]:
        return value, unordered_set_signals(values, states.extra)

    return weighted_states(
        "unordered_set",
        f,
        states=states,
        signal=signal,
        what="num_samples",
        count=num_samples,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )


def unordered_set_signals(values: jax.Array, weights: SetWeights) -> jax.Array:
    """The weight of the score of every state, from the values of f."""
    values = values.astype(weights.first.dtype)
    # The weights of a baseline sum to one: only differences of values remain, and a
    # constant in f, however large, leaves nothing behind.
    differences = values[:, None] - values[None, :]
    return weights.first * jnp.sum(weights.second * differences, axis=-1)
