"""One decision per step of a scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.batches import check_chunk_size, over_batch, sample_keys
from jaxdiscrete.core.checks import check_count, check_real_scalar
from jaxdiscrete.core.latents import draw, freeze
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.rules import pass_gradient_if
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.graphs.credit import Credit, cost_to_go, discounts
from jaxdiscrete.graphs.sites import Transform, check_site, site_estimate
from jaxdiscrete.multi_sample.leave_one_out import mean_of_others


class _Steps(NamedTuple):
    """What a rollout leaves, stacked over time."""

    cost: jax.Array
    aux: Any
    q: PyTree
    inputs: tuple[Any, ...]
    z: PyTree
    is_active: jax.Array


def sequential(
    transform: Transform,
    policy: Callable[[PyTree, PyTree], tuple[PyTree, tuple[Any, ...]]],
    step: Callable[[PyTree, PyTree, PyTree], tuple[PyTree, Any]],
    *,
    credit: Credit = cost_to_go,
    discount: ArrayLike = 1.0,
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
        :func:`cost_to_go`, :func:`whole_sequence`, or your own. Default: cost to go.
      discount: :math:`\gamma`, a scalar. Default: 1.
      active: ``active(carry, x) -> bool scalar``, asked before the policy. A step that
        is not active changes nothing: the carry stays, its cost is zero, and nothing of
        it reaches a gradient, NaN included. Its q is replaced by one with parameters of
        zero. Default: every step is active.
      num_samples: ``K >= 1`` rollouts of one start. With two or more each step is
        credited relative to the mean of the same step of the others. Static.
        Default: 1.
      chunk_size: how many rollouts run at a time, each chunk recomputed in the backward
        pass. Static. Default: all at once.
      sharding: where the rollouts lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether step returns ``(carry, (cost, aux))``; the estimate then returns
        ``(scalar, (carry, (cost, aux)))`` with the last carry, and costs and aux
        stacked over time, with rollouts first where there are several.

    Returns:
      ``estimate(key, carry, xs) -> scalar``, for the first carry and inputs with a
      leading axis of time. With several rollouts it is their mean. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError: when called, if a transform evaluates f elsewhere, the policy returns
        no distributions, a cost is no real scalar, ``active`` is not boolean, or the
        carry changes.
      ValueError: when called, if ``xs`` have no or unequal lengths.

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

    def rollout(key: jax.Array, carry: PyTree, xs: PyTree) -> tuple[PyTree, _Steps]:
        def body(carry: PyTree, row: tuple[PyTree, jax.Array]) -> tuple[PyTree, _Steps]:
            x, key = row
            is_active = jnp.ones((), bool) if active is None else active(carry, x)
            q, inputs = _call(active, is_active, policy, carry, x)
            if active is not None:
                q, inputs = _where(is_active, (q, inputs), _zeros((q, inputs)))
            z = draw(key, freeze(q))
            new, out = _call(active, is_active, step, carry, z, x)
            cost, aux = out if has_aux else (out, None)
            cost = in_float32(jnp.asarray(cost))
            if active is not None:
                new = _where(is_active, new, carry)
                cost = jnp.where(is_active, cost, 0.0)
            return new, _Steps(cost, aux, q, inputs, z, is_active)

        keys = jax.random.split(key, _length(xs))
        return jax.lax.scan(body, carry, (xs, keys))

    def estimate(key: jax.Array, carry: PyTree, xs: PyTree) -> Any:
        num_steps = _length(xs)
        carry = jax.tree.map(jnp.asarray, carry)
        _check(transform, policy, step, active, has_aux, carry, xs)
        key_rollout, key_noise = jax.random.split(key)
        if num_samples == 1:
            keys = key_rollout[None]
        else:
            keys = sample_keys(key_rollout, num_samples, sharding)
        last, steps = over_batch(lambda k: rollout(k, carry, xs), keys, chunk_size)

        costs = steps.cost * discounts(discount, num_steps, steps.cost.dtype)[None]
        signals = jax.vmap(credit)(freeze(costs))
        if num_samples > 1:
            signals = signals - mean_of_others(signals)
        noise = jax.random.split(key_noise, (num_samples, num_steps))

        def site(k: jax.Array, row: _Steps, signal: jax.Array) -> jax.Array:
            zero = site_estimate(
                transform, k, row.q, row.inputs, freeze(row.z), freeze(signal)
            )
            return zero if active is None else jnp.where(row.is_active, zero, 0.0)

        zeros = jax.vmap(jax.vmap(site))(noise, steps, signals)
        value = (costs.sum() + zeros.sum().astype(costs.dtype)) / num_samples
        if not has_aux:
            return value
        aux = (last, (steps.cost, steps.aux))
        if num_samples == 1:
            aux = jax.tree.map(lambda x: x[0], aux)
        return value, aux

    return estimate


def _call(active: Any, is_active: jax.Array, fn: Callable[..., Any], *args: Any) -> Any:
    """``fn(*args)``; where not active no derivative passes through it, NaN included."""
    if active is None:
        return fn(*args)
    # What fn closes over must be kept from the derivative as well.
    converted, closed_over = jax.closure_convert(fn, *args)

    def block(x: jax.Array) -> jax.Array:
        is_floating = jnp.issubdtype(jnp.result_type(x), jnp.floating)
        return pass_gradient_if(is_active, jnp.asarray(x)) if is_floating else x

    args, closed_over = jax.tree.map(block, (args, closed_over))
    return converted(*args, *closed_over)


def _where(condition: jax.Array, a: PyTree, b: PyTree) -> PyTree:
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


def _zeros(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.zeros_like, tree)


def _length(xs: PyTree) -> int:
    """The number of steps."""
    lengths = {np.shape(x)[0] if np.ndim(x) else None for x in jax.tree.leaves(xs)}
    if len(lengths) != 1 or lengths & {None, 0}:
        raise ValueError(
            "Expected xs of jaxdiscrete.sequential to have one leading axis of time, "
            f"of length one or more, got lengths {sorted(map(str, lengths))}. Without "
            "inputs pass jnp.arange(num_steps)."
        )
    return int(lengths.pop())


def _check(
    transform: Transform,
    policy: Callable[..., Any],
    step: Callable[..., Any],
    active: Callable[..., Any] | None,
    has_aux: bool,
    carry: PyTree,
    xs: PyTree,
) -> None:
    """Raises unless policy, step and transform fit one another, without computing."""
    x = jax.tree.map(lambda x: jax.eval_shape(lambda: jnp.asarray(x)[0]), xs)
    key = jax.random.key(0)
    if active is not None:
        mask = jax.eval_shape(active, carry, x)
        if jnp.shape(mask) != () or jnp.result_type(mask) != jnp.bool_:
            raise TypeError(
                "Expected active of jaxdiscrete.sequential to return one boolean "
                f"scalar, got {mask}. Compare it, for instance t < length."
            )
    out = jax.eval_shape(policy, carry, x)
    if not isinstance(out, tuple) or len(out) != 2 or not isinstance(out[1], tuple):
        raise TypeError(
            "Expected policy of jaxdiscrete.sequential to return (q, inputs) with a "
            f"tuple of inputs, got {type(out).__name__}. Without inputs return (q, ())."
        )
    q, inputs = out
    check_latents("sequential", q)
    z = jax.eval_shape(lambda q: draw(key, q), q)
    jax.eval_shape(
        lambda q, inputs, z: check_site("sequential", transform, q, inputs, z),
        q,
        inputs,
        z,
    )
    out = jax.eval_shape(step, carry, z, x)
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(
            "Expected step of jaxdiscrete.sequential to return (carry, cost), got "
            f"{type(out).__name__}. Return a pair."
        )
    new, cost = out
    if has_aux and (not isinstance(cost, tuple) or len(cost) != 2):
        raise TypeError(
            "Expected step of jaxdiscrete.sequential to return (carry, (cost, aux)) "
            f"with has_aux=True, got {type(cost).__name__}. Return a pair."
        )
    check_real_scalar("step", cost[0] if has_aux else cost)
    expected, got = (
        jax.tree.map(lambda x: (jnp.shape(x), str(jnp.result_type(x))), tree)
        for tree in (carry, new)
    )
    if expected != got:
        raise TypeError(
            "Expected step of jaxdiscrete.sequential to return a carry of the "
            f"structure, shapes and dtypes of the first one, {expected}, got {got}. Convert it, "
            "or start from a carry like it."
        )
