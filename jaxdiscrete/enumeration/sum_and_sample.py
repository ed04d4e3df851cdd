"""Some states summed exactly and one sampled from the rest."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.baselines import Baseline, evaluate_baseline
from jaxdiscrete.core.facts import EVERY_SAMPLE, Calls, facts
from jaxdiscrete.core.needs import FINITE
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.precision import weighted_sum
from jaxdiscrete.core.scores import score
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.core.varying import freeze_varying
from jaxdiscrete.enumeration.mechanism import (
    Signal,
    WeightedStates,
    weighted_states,
)
from jaxdiscrete.enumeration.states import (
    num_joint_states,
    sample_without_replacement,
    top_states,
)
from jaxdiscrete.score_function.mechanism import train_by_second_moment


@facts(
    calls=EVERY_SAMPLE,
    needs=FINITE,
    reference="Liang et al. 2018; Kool et al. 2020",
)
def sum_and_sample(
    f: Objective,
    *,
    num_samples: int,
    baseline: Baseline | None = None,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
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
      baseline: c, a scalar or ``baseline(*args) -> scalar`` with its inputs stopped,
        trained by the variance; in :func:`least_squares` by the squared error of f(b).
        Default: none. What it shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      chunk_size: at how many states f runs at a time, each chunk recomputed in the
        backward pass. Static. Default: all at once.
      sharding: where the states lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of K. What leaves through aux gets no credit for what happens to it
        later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the sum of f under the same weights,
      unbiased. Reverse mode, first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 1``; when called, if q has fewer joint states, or
        if f or the baseline does not return one real scalar.
      TypeError: when called, if q holds anything but variables with classes.

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

    def states(key: jax.Array, q: PyTree) -> WeightedStates:
        drawn = sample_without_replacement(key, q, num_samples)
        log_left = jnp.logaddexp(drawn.log_probs[-1], drawn.log_rest)
        log_weights = drawn.log_probs.at[-1].set(log_left)
        is_complete = jnp.isneginf(drawn.log_rest)
        return WeightedStates(drawn.choices, jnp.exp(log_weights), is_complete)

    return weighted_states(
        name,
        f,
        states=states,
        signal=_centred_by(baseline),
        what="num_samples",
        count=num_samples,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
        baseline=baseline,
    )


@facts(
    calls=Calls("K + 1", lambda size: size.num_samples + 1),
    needs=FINITE,
    reference="Liu et al. 2019",
)
def partial_enumeration(
    f: Objective,
    *,
    num_states: int,
    baseline: Baseline | None = None,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
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
      chunk_size: at how many states f runs at a time, each chunk recomputed in the
        backward pass. Static. Default: all at once.
      sharding: where the states lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of the calls. What leaves through aux gets no credit for what
        happens to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the sum of f under the same weights,
      unbiased. Reverse mode, first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_states < 1``; when called, if q has fewer joint states, or
        if f or the baseline does not return one real scalar.
      TypeError: when called, if q holds anything but variables with classes.

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

    def states(key: jax.Array, q: PyTree) -> WeightedStates:
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
        # One state is left, or none that is possible.
        is_complete = jnp.isneginf(summed.log_rest) | (size + 1 == num_joint_states(q))
        return WeightedStates(choices, jnp.exp(log_weights), is_complete)

    return weighted_states(
        name,
        f,
        states=states,
        signal=_centred_by(baseline),
        what="num_states",
        count=num_states,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
        baseline=baseline,
    )


def _centred_by(baseline: Baseline | None) -> Signal:
    """The signals of states whose last one is sampled, less a baseline."""

    def signal(
        value: jax.Array,
        q: PyTree,
        z: PyTree,
        values: jax.Array,
        states: WeightedStates,
        args: tuple[Any, ...],
    ) -> tuple[jax.Array, jax.Array]:
        b = evaluate_baseline(baseline, args)
        weights = states.weights
        values = values.astype(weights.dtype)
        terms = b.subtract_from(values)
        # Where the states are all there are, their scores sum to zero, and what all
        # terms have in common must not round the gradient away.
        common = jnp.sum(jnp.where(weights > 0.0, weights * terms, 0.0))
        signals = weights * (terms - jnp.where(states.extra, common, 0.0))
        value = b.fit(value, values[-1])
        if b.by_variance is None:
            return value, signals
        frozen_q = freeze_varying(q, values[0])
        scores = jax.vmap(lambda x: score(frozen_q, x))(z)

        def gradient(c: jax.Array) -> PyTree:
            of_c = weights * (values - c.astype(weights.dtype))
            return jax.tree.map(lambda s: weighted_sum(of_c, s), scores)

        trained = (b.by_variance,)
        value = train_by_second_moment(value, gradient, trained, like=values[0])
        return value, signals

    return signal
