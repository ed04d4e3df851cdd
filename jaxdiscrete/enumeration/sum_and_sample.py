"""Some states summed exactly and one sampled from the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import (
    check_count,
    check_objective,
    evaluate_optional_baseline,
)
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.rules import tap
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree
from jaxdiscrete.enumeration.states import (
    check_states,
    num_joint_states,
    sample_without_replacement,
    states_of,
    top_states,
    weighted_sum,
)
from jaxdiscrete.score_function.mechanism import as_signal, evaluate


def _sum_and_sample(
    f: Objective,
    *,
    check: Callable[[PyTree], None],
    draw: Callable[[jax.Array, PyTree], tuple[jax.Array, jax.Array]],
    baseline: Baseline | None,
    has_aux: bool,
) -> Estimator:
    """Builds an estimator from its states and their weights.

    Args:
      f: the objective.
      check: ``q -> None``, raises before any compute.
      draw: ``(key, q) -> (choices, weights)``, for the frozen q: each state with its
        probability, but the last one, which is sampled, with the mass of all that
        are left.
      baseline: scalar or callable of ``args``, or None.
      has_aux: whether f returns ``(value, aux)``.

    Returns:
      ``estimate(key, q, *args)``.
    """

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check(q)
        check_objective(f, key, q, args, has_aux)
        level = evaluate_optional_baseline("baseline", baseline, args)
        choices, weights = draw(key, freeze(q))
        z = states_of(q, choices)
        values, aux = jax.vmap(lambda x: evaluate(f, x, args, has_aux))(z)
        signals = weights * as_signal(values).astype(weights.dtype)
        if level is not None:
            signals = signals - weights * level.astype(weights.dtype)
        value = weighted_sum(values, weights, q, z, signals)
        if level is not None:
            # All of the variance is that of the last term.
            value = tap(value, 0.5 * jnp.square(signals[-1]))
        return (value, aux) if has_aux else value

    return estimate


def sum_and_sample(
    f: Objective,
    *,
    num_samples: int,
    baseline: Baseline | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator that sums some drawn states and samples the rest.

    K joint states are drawn without replacement. The first K - 1 of them, C, are
    summed exactly, and the last one, b, stands for all others:

    .. math:: \sum_{s\in C} p(s)(f(s) - c)\,\nabla_\phi\log p(s) +
       \Big(1 - \sum_{s\in C} p(s)\Big)(f(b) - c)\,\nabla_\phi\log p(b)

    Unbiased, and exact where the K states are all of the possible ones. ``K`` calls of
    ``f``, which need not be differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``K >= 1``, at most the number of joint states. Static. 1 is
        REINFORCE.
      baseline: c, a scalar array or ``baseline(*args) -> scalar`` with its inputs
        stopped. What ``jax.grad`` returns for it is the gradient of
        :math:`\tfrac12 w^2 (f(b) - c)^2`, with w the weight of b. Default: none.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of K.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the sum of f under the same weights,
      unbiased. Reverse mode, first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 1``; when called, if q has fewer joint states, or
        if f or the baseline does not return one real scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli` and
        :class:`OneHotCategorical`.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.sum_and_sample(lambda z: z.sum(), num_samples=8)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(3))
      [0.25 0.25 0.25]

    References:
      C. Liang, M. Norouzi, J. Berant, Q. Le, N. Lao, Memory augmented policy
      optimization for program synthesis and semantic parsing, 2018.
      W. Kool, H. van Hoof, M. Welling, Estimating gradients for discrete random
      variables by sampling without replacement, 2020.
    """
    name = "sum_and_sample"
    check_count(name, "num_samples", num_samples, 1, "Ask for one or more.")

    def draw(key: jax.Array, q: PyTree) -> tuple[jax.Array, jax.Array]:
        drawn = sample_without_replacement(key, q, num_samples)
        log_left = jnp.logaddexp(drawn.log_probs[-1], drawn.log_rest)
        return drawn.choices, jnp.exp(drawn.log_probs.at[-1].set(log_left))

    return _sum_and_sample(
        f,
        check=lambda q: check_states(name, q, "num_samples", num_samples),
        draw=draw,
        baseline=baseline,
        has_aux=has_aux,
    )


def partial_enumeration(
    f: Objective,
    *,
    num_states: int,
    baseline: Baseline | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator that sums the likeliest states and samples the rest.

    The :math:`N` most likely joint states, C, are summed exactly, and one sample b of
    q restricted to the others stands for them:

    .. math:: \sum_{s\in C} p(s)(f(s) - c)\,\nabla_\phi\log p(s) +
       \Big(1 - \sum_{s\in C} p(s)\Big)(f(b) - c)\,\nabla_\phi\log p(b)

    Unbiased: the Rao-Blackwellisation of REINFORCE over whether its sample lies in C.
    Exact where C is all of the possible states. ``N + 1`` calls of ``f``, which need
    not be differentiable in z; N where there are no more states.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_states: ``N >= 1``, at most the number of joint states. Static.
      baseline: c, as in :func:`sum_and_sample`. Default: none.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of the calls.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the sum of f under the same weights,
      unbiased. Reverse mode, first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_states < 1``; when called, if q has fewer joint states, or
        if f or the baseline does not return one real scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli` and
        :class:`OneHotCategorical`.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.0, 2.0, -9.0]))
      >>> estimate = jd.partial_enumeration(lambda z: z.sum(), num_states=4)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(3))
      [0.25  0.105 0.   ]

    References:
      R. Liu, J. Regier, N. Tripuraneni, M. I. Jordan, J. McAuliffe, Rao-Blackwellized
      stochastic gradients for discrete distributions, 2019.
    """
    name = "partial_enumeration"
    check_count(name, "num_states", num_states, 1, "Ask for one or more.")

    def draw(key: jax.Array, q: PyTree) -> tuple[jax.Array, jax.Array]:
        # Where a single state is left it is the sample, whatever the key.
        size = min(num_states, num_joint_states(q) - 1)
        summed = top_states(q, size)
        drawn = sample_without_replacement(key, q, size + 1)
        # Of one more draw than there are states in C, one is outside; the first such
        # has the distribution of the rest.
        is_same = (drawn.choices[:, None] == summed.choices[None, :]).all(axis=-1)
        is_summed = (is_same & (summed.log_probs != -jnp.inf)[None, :]).any(axis=-1)
        is_left = ~is_summed & (drawn.log_probs != -jnp.inf)
        sampled = drawn.choices[jnp.argmax(is_left)]
        choices = jnp.concatenate([summed.choices, sampled[None, :]])
        log_weights = jnp.append(summed.log_probs, summed.log_rest)
        return choices, jnp.exp(log_weights)

    return _sum_and_sample(
        f,
        check=lambda q: check_states(name, q, "num_states", num_states),
        draw=draw,
        baseline=baseline,
        has_aux=has_aux,
    )
