"""One decision per step of a scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.batches import check_chunk_size, over_batch, sample_keys
from jaxdiscrete.core.checking import is_checking
from jaxdiscrete.core.checks import check_key, check_real_scalar
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.marks import estimated, leaving
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.graphs.credit import (
    Credit,
    check_along_time,
    cost_to_go,
    discounts,
)
from jaxdiscrete.graphs.given import Action
from jaxdiscrete.graphs.off_policy import (
    Weights,
    check_credit_of_weighted_costs,
    credit_per_weight,
    per_decision_weights,
)
from jaxdiscrete.graphs.rollout import (
    Episode,
    Policy,
    Step,
    Steps,
    check_episode,
    num_steps_of,
)
from jaxdiscrete.graphs.sites import Transform, site_estimate, with_credit
from jaxdiscrete.multi_sample.others import less_mean_of_others


def sequential(
    transform: Transform,
    policy: Policy,
    step: Step,
    *,
    credit: Credit = cost_to_go,
    discount: ArrayLike = 1.0,
    weights: Weights = per_decision_weights,
    active: Callable[[PyTree, PyTree], jax.Array] | None = None,
    num_samples: int = 1,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Callable[..., Any]:
    r"""An estimate of the expected total cost of a sequence of decisions.

    Under one :func:`jax.lax.scan`: at step t the policy gives :math:`q_t` from the
    carry, a decision :math:`z_t` is drawn, and the step turns both into the next carry
    and a cost. The value is :math:`\sum_t\gamma^t c_t`. Its gradient to every
    :math:`q_t` is that of the transform for the credit of the step, by default the cost
    from that step on; to everything else (later q's through the carry, recurrent state,
    costs) it is the exact pathwise derivative. Unbiased, if transform and credit are.
    Policy and step are traced a fixed number of times, whatever the length; time and
    memory are linear in it.

    Costs are minimised: a reward is a negated cost.

    Args:
      transform: of every step, with its options filled in: ``jd.reinforce``, or
        ``lambda f: jd.nvil(f, baseline=b)``. It uses f only through its value at the
        drawn z, as in :func:`program`.
      policy: ``policy(carry, x) -> (q, inputs)``; ``inputs`` is a tuple, what the
        baseline or critic of the transform takes, which sees it stopped.
      step: ``step(carry, z, x) -> (carry, cost)``, a carry of the same structure,
        shapes and dtypes, and one real scalar.
      credit: from the (discounted) costs ``[time]`` to what each step is credited with:
        :func:`cost_to_go`, :func:`whole_sequence`, or your own. With actions it
        holds no constant, and, if weights differ between steps, nothing that was
        charged before the step. Default: cost to go.
      discount: :math:`\gamma`, a scalar. Default: 1.
      weights: of decisions that another policy has drawn, from the ratios of the
        probabilities ``[time]`` to the weights of the costs:
        :func:`per_decision_weights`, :func:`whole_sequence_weights`, or your own
        (clipped ones are biased; a zero before others gives NaN). Default: per
        decision.
      active: ``active(carry, x) -> bool scalar``, asked before the policy. A step that
        is not active changes nothing: the carry stays, its cost is zero, and it trains
        nothing. Policy and step are then called where the last active step was (before
        the first one, where that will be), so that nothing past the end is read, NaN
        included. In an episode without an active step that is the first carry and x,
        where both must be finite. Default: every step is active.
      num_samples: ``K >= 1`` rollouts of one start. With two or more each step is
        credited relative to the mean of the same step of the others. Static.
        Default: 1.
      chunk_size: how many rollouts run at a time, each chunk recomputed in the backward
        pass. Static. Default: all at once.
      sharding: where the rollouts lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether step returns ``(carry, (cost, aux))``; the estimate then returns
        ``(scalar, (carry, (cost, aux)))`` with the last carry, and costs (undiscounted)
        and aux stacked over time, with rollouts first where there are several. Where a
        step is not active its cost is zero, and its aux that of the step in its place.

    Returns:
      ``estimate(key, carry, xs, actions=None) -> scalar``, for the first carry and
      inputs with a leading axis of time. With several rollouts it is their mean. With
      ``actions``, an :class:`Action` of the same leading axis (after one of rollouts
      where there are several), nothing is drawn but conditional noise: decisions and
      the log-probabilities that they had are those, and the estimate is that of the
      weighted costs. Reverse mode, first order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError: when called, if a transform evaluates f elsewhere, the policy returns
        no distributions, a cost is no real scalar, ``active`` is not boolean, or the
        carry changes.
      ValueError: if ``discount`` is no scalar; when called, if ``xs`` have no or
        unequal lengths, credit or weights are not one number per step, actions do not
        have the shapes of decisions, or their credit holds a constant or earlier
        costs of other weights.

    Example:
      >>> def policy(carry, x):
      ...     return jd.Bernoulli(x + carry), ()
      >>> def step(carry, z, x):
      ...     return z, z * (1.0 + carry)
      >>> estimate = jd.sequential(jd.reinforce, policy, step)
      >>> gradient = jax.vmap(jax.grad(estimate, argnums=2), (0, None, None))
      >>> keys = jax.random.split(jax.random.key(0), 50_000)
      >>> print(np.asarray(gradient(keys, 0.0, jnp.zeros(2)).mean(0)).round(1))
      [0.5 0.3]

    References:
      R. J. Williams, Simple statistical gradient-following algorithms for
      connectionist reinforcement learning, 1992.
      R. S. Sutton, D. McAllester, S. Singh, Y. Mansour, Policy gradient methods for
      reinforcement learning with function approximation, 2000.
    """
    check_count("sequential", "num_samples", num_samples, 1, "Ask for one or more.")
    check_chunk_size("sequential", chunk_size)
    check_real_scalar("discount", jnp.asarray(discount) * 1.0)
    episode = Episode(policy, step, active, has_aux)

    def site(key: jax.Array, one: Steps, signal: jax.Array) -> jax.Array:
        """The zero that carries the gradient of one step."""

        if active is not None:
            signal = jnp.where(one.is_active, signal, 0.0)
        zero = site_estimate(
            transform, key, one.q, one.inputs, freeze(one.z), freeze(signal)
        )
        return zero if active is None else jnp.where(one.is_active, zero, 0.0)

    def over_rollouts(one: Callable[[Any], Any], rows: PyTree) -> Any:
        if num_samples > 1:
            return over_batch(one, rows, chunk_size)
        # A batch of one would make the compiler transpose all that the scan collects.
        out = one(jax.tree.map(lambda x: x[0], rows))
        return jax.tree.map(lambda x: x[None], out)

    def estimate(
        key: jax.Array, carry: PyTree, xs: PyTree, actions: Action | None = None
    ) -> Any:
        check_key("sequential", key)
        num_steps = num_steps_of(xs)
        carry = jax.tree.map(jnp.asarray, carry)
        if actions is not None and num_samples == 1:
            actions = jax.tree.map(lambda x: jnp.asarray(x)[None], actions)
        if not is_checking():
            dtype = check_episode(episode, transform, carry, xs, actions, num_samples)
            per_step = jax.ShapeDtypeStruct((num_steps,), dtype)
            check_along_time("credit", credit, per_step)
            if actions is not None:
                check_along_time("weights", weights, per_step)
                check_credit_of_weighted_costs(credit, weights, per_step)

        key_rollouts, key_noise = jax.random.split(key)
        if num_samples == 1:
            keys = key_rollouts[None]
        else:
            keys = sample_keys(key_rollouts, num_samples, sharding)
        last, steps = over_rollouts(
            lambda row: episode.run(row[0], carry, xs, row[1]), (keys, actions)
        )

        dtype = steps.cost.dtype
        costs = steps.cost * discounts(discount, num_steps, dtype)[None]
        if actions is None:
            signals = jax.vmap(credit)(freeze(costs))
        else:
            of_costs = freeze(jax.vmap(weights)(steps.ratio)).astype(dtype)
            costs = costs * of_costs
            signals = jax.vmap(credit)(freeze(costs))
            signals = credit_per_weight(signals, of_costs)
        if num_samples > 1:
            signals = less_mean_of_others(signals)

        noise = jax.random.split(key_noise, (num_samples, num_steps))
        zeros = over_rollouts(
            lambda row: jax.vmap(site)(*row), (noise, steps, signals)
        ).astype(dtype)
        if actions is not None:
            zeros = zeros * of_costs
        value = with_credit(costs.sum(), zeros.sum()) / num_samples
        value = estimated(value)
        if not has_aux:
            return value
        aux = (last, (steps.cost, steps.aux))
        if num_samples == 1:
            aux = jax.tree.map(lambda x: x[0], aux)
        return value, leaving(aux)

    return estimate
