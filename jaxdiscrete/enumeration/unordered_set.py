"""The unordered-set estimator: samples without replacement, whatever their order."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import check_count, check_objective
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.distributions.set_probability import SetWeights, set_weights
from jaxdiscrete.enumeration.states import (
    check_states,
    sample_without_replacement,
    states_of,
    weighted_sum,
)
from jaxdiscrete.score_function.mechanism import as_signal, evaluate


def unordered_set(
    f: Objective, *, num_samples: int, has_aux: bool = False
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
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of K.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the unbiased
      :math:`\sum_s p(s) R(S,s) f(s)`. Reverse mode, first order. Batch with
      :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if q has fewer joint states, or
        if f does not return one real scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli` and
        :class:`OneHotCategorical`.

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

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_states("unordered_set", q, "num_samples", num_samples)
        check_objective(f, key, q, args, has_aux)
        drawn = sample_without_replacement(key, freeze(q), num_samples)
        z = states_of(q, drawn.choices)
        values, aux = jax.vmap(lambda x: evaluate(f, x, args, has_aux))(z)
        weights = set_weights(drawn.log_probs, drawn.log_rest)
        signals = unordered_set_signals(as_signal(values), weights)
        value = weighted_sum(values, weights.first, q, z, signals)
        return (value, aux) if has_aux else value

    return estimate


def unordered_set_signals(values: jax.Array, weights: SetWeights) -> jax.Array:
    """The weight of the score of every state, from the values of f."""
    values = values.astype(weights.first.dtype)
    # The weights of a baseline sum to one: only differences of values remain, and a
    # constant in f, however large, leaves nothing behind.
    differences = values[:, None] - values[None, :]
    return weights.first * jnp.sum(weights.second * differences, axis=-1)
