"""The score function of samples that somebody else has drawn: groups of sequences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.objective import as_signal
from jaxdiscrete.core.precision import at_least_float32, in_float32
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.typing import Shape
from jaxdiscrete.multi_sample.others import mean_of_others, sum_of_others


def score_function_loss(
    log_prob: jax.Array,
    reward: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    importance_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> jax.Array:
    r"""A loss whose gradient is minus the policy gradient of a group of samples.

    For samples from an inference server, a simulator or an older policy, G of them for
    one prompt or state, with log-probabilities :math:`\log p_\theta(a_{gt})` under the
    current policy, rewards R, baselines b and weights w the gradient is
    :math:`-\frac1G\sum_g\sum_t w_{gt}(R_{gt}-b_{gt})\nabla_\theta\log
    p_\theta(a_{gt})`. Nothing else is differentiated but what the rewards themselves
    are computed from. Sums, never means, over time: dividing by the length of a
    sequence would change the objective.

    Unbiased for samples of the policy and a baseline that is independent of the sample
    itself, for instance :func:`leave_one_out`; the mean of the whole group shrinks the
    gradient by :math:`(G-1)/G`. Unbiased for samples of another policy
    :math:`\mu` if w is the weight of the whole sequence,
    :math:`p_\theta(a_{g\cdot})/\mu(a_{g\cdot})`, of shape ``[group]``. Weights of
    single steps, clipped ones and normalised ones are biased.

    Args:
      log_prob: ``[group]``, of whole samples, or ``[group, time]``, of their steps.
      reward: ``[group]``, credited to every step, or of the shape of ``log_prob``:
        what each step is credited with, for instance :func:`reward_to_go`.
      baseline: a scalar, or an array of the shape of ``reward``; stopped. Default:
        none.
      importance_weight: ``[group]`` or of the shape of ``log_prob``; stopped.
        Default: one.
      mask: boolean, of the shape of ``log_prob``: True for a step that counts, False
        for padding, which may hold anything, NaN included. Default: every step counts.

    Returns:
      Scalar to minimise: minus the mean over the group of the reward, or of that of the
      first step that counts, weighted if ``importance_weight`` has shape ``[group]``.
      Reverse mode, first order. Batch over prompts with :func:`jax.vmap`.

    Raises:
      TypeError: if ``log_prob`` is not floating or ``mask`` is not boolean.
      ValueError: if shapes do not fit; nothing is broadcast.

    Example:
      >>> logits = jnp.zeros(2)
      >>> actions = jnp.array([[0, 1], [1, 1], [0, 0]])  # 3 sequences of 2 steps
      >>> reward = jnp.array([1.0, 2.0, 0.0])
      >>> def loss(logits):
      ...     log_prob = jax.nn.log_softmax(logits)[actions]
      ...     baseline = jd.leave_one_out(reward)
      ...     return jd.score_function_loss(log_prob, reward, baseline=baseline)
      >>> value, grads = jax.value_and_grad(loss)(logits)
      >>> print(value, np.asarray(grads))
      -1.0 [ 1. -1.]

    References:
      R. J. Williams, Simple statistical gradient-following algorithms for
      connectionist reinforcement learning, 1992.
      W. Kool, H. van Hoof, M. Welling, Buy 4 REINFORCE samples, get a baseline for
      free!, 2019.
    """
    log_prob = jnp.asarray(log_prob)
    if log_prob.ndim not in (1, 2) or log_prob.size == 0:
        raise ValueError(
            "Expected log_prob of jaxdiscrete.score_function_loss to have shape "
            f"[group] or [group, time], got shape {log_prob.shape}. Batch over prompts "
            "with jax.vmap."
        )
    if not jnp.issubdtype(log_prob.dtype, jnp.floating):
        raise TypeError(
            "Expected log_prob of jaxdiscrete.score_function_loss to be floating, got "
            f"{log_prob.dtype}. Pass the log-probabilities of the actions."
        )
    shape, group = log_prob.shape, log_prob.shape[:1]
    reward = _as_real("reward", reward, [group, shape])
    level = 0.0 if baseline is None else baseline
    level = _as_real("baseline", level, [(), reward.shape])
    weight = jnp.ones(group) if importance_weight is None else importance_weight
    weight = as_signal(_as_real("importance_weight", weight, [group, shape]))
    counts = _as_mask(mask, shape)
    dtype = at_least_float32(reward.dtype, level.dtype, weight.dtype)
    reward, level, weight = (x.astype(dtype) for x in (reward, level, weight))

    def per_step(x: jax.Array) -> jax.Array:
        x = x[:, None] if 0 < x.ndim < len(shape) else x
        return jnp.where(counts, jnp.broadcast_to(x, shape), 0.0)

    # Padding is left out before any arithmetic, since NaN times zero is NaN.
    signal = as_signal(per_step(reward)) - as_signal(per_step(level))
    coefficient = -per_step(weight) * signal / group[0]

    total = reward
    if reward.ndim == 2:
        first = jnp.argmax(counts, axis=1)[:, None]
        total = jnp.take_along_axis(per_step(reward), first, axis=1)[:, 0]
    value = -jnp.mean(total if weight.ndim == 2 else weight * total)
    return attach_gradient(value, [log_prob], [coefficient])


def leave_one_out(reward: ArrayLike, *, mask: ArrayLike | None = None) -> jax.Array:
    r"""The mean reward of the other samples of a group, for every sample.

    :math:`b_g = \frac{1}{G-1}\sum_{h\ne g} R_h`, an unbiased baseline of
    :func:`score_function_loss`, since it does not depend on the sample itself. Exactly
    so: it is no difference of sums.

    Args:
      reward: ``[group, ...]``, at least two samples; with steps, those of
        :func:`reward_to_go`, whose padding is zero and counts: what is over has nothing
        to come.
      mask: boolean, of the shape of ``reward``: False for a sample that is missing,
        whose reward may be anything, NaN included. Default: none is missing.

    Returns:
      Array of the shape of ``reward``, in at least float32, stopped; zero for samples
      that are missing, or whose others all are.

    Raises:
      TypeError: if ``reward`` is not real or ``mask`` is not boolean.
      ValueError: if the group has fewer than two samples, or ``mask`` has another
        shape.

    Example:
      >>> print(jd.leave_one_out(jnp.array([1.0, 2.0, 6.0])))
      [4.  3.5 1.5]
      >>> reward = jnp.array([1.0, 2.0, jnp.nan, 6.0])  # the third was lost
      >>> print(jd.leave_one_out(reward, mask=~jnp.isnan(reward)))
      [4.  3.5 0.  1.5]

    References:
      W. Kool, H. van Hoof, M. Welling, Buy 4 REINFORCE samples, get a baseline for
      free!, 2019.
    """
    rewards = _as_real("reward", reward, None)
    if rewards.ndim == 0 or rewards.shape[0] < 2:
        raise ValueError(
            "Expected a group of at least two samples in jaxdiscrete.leave_one_out, "
            f"got shape {rewards.shape}. A single sample has no others: use a baseline "
            "that is trained."
        )
    if mask is None:
        return mean_of_others(as_signal(rewards))
    counts = _as_mask(mask, rewards.shape)
    total = sum_of_others(as_signal(jnp.where(counts, rewards, 0.0)))
    num_others = sum_of_others(counts.astype(total.dtype))
    return jnp.where(counts, total / jnp.maximum(num_others, 1.0), 0.0)


def reward_to_go(
    reward: ArrayLike, *, discount: ArrayLike = 1.0, mask: ArrayLike | None = None
) -> jax.Array:
    r"""The rewards from each step on, which are all that the step can still change.

    :math:`G_t = \sum_{s\ge t}\gamma^{s-t} r_s`. As the reward of
    :func:`score_function_loss` it leaves out what a step could not have caused: with
    discount 1 the gradient has the same mean and usually less variance. A smaller
    discount is biased for the undiscounted sum.

    Args:
      reward: ``[..., time]``, of single steps.
      discount: :math:`\gamma`, a scalar. Default: 1.
      mask: boolean, of the shape of ``reward``: False for padding, whose reward may be
        anything, NaN included, and counts as zero. Default: every step counts.

    Returns:
      Array of the shape of ``reward``, in at least float32, zero where padded.

    Raises:
      TypeError: if ``reward`` is not real or ``mask`` is not boolean.
      ValueError: if ``reward`` has no time axis, ``discount`` is no scalar or
        ``mask`` has another shape.

    Example:
      >>> reward = jnp.array([[0.0, 1.0, 2.0], [0.0, 4.0, jnp.nan]])
      >>> print(jd.reward_to_go(reward, mask=~jnp.isnan(reward)))
      [[3. 3. 2.]
       [4. 4. 0.]]

    References:
      R. S. Sutton, D. McAllester, S. Singh, Y. Mansour, Policy gradient methods for
      reinforcement learning with function approximation, 2000.
    """
    rewards = _as_real("reward", reward, None)
    if rewards.ndim == 0:
        raise ValueError(
            "Expected reward of shape [..., time] in jaxdiscrete.reward_to_go, got a "
            "scalar. Pass the rewards of the steps."
        )
    decay = _as_real("discount", discount, [()]).astype(rewards.dtype)
    counts = _as_mask(mask, rewards.shape)
    rewards = jnp.where(counts, rewards, 0.0)

    def join(
        later: tuple[jax.Array, jax.Array], earlier: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        return later[0] * earlier[0], earlier[1] + earlier[0] * later[1]

    steps = (jnp.full_like(rewards, decay), rewards)
    time = rewards.ndim - 1
    _, sums = jax.lax.associative_scan(join, steps, reverse=True, axis=time)
    return jnp.where(counts, sums, 0.0)


def _as_real(what: str, x: ArrayLike, shapes: list[Shape] | None) -> jax.Array:
    """``x`` in at least float32, if it is real and of one of the shapes."""
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(
        x.dtype, jnp.integer
    ):
        raise TypeError(
            f"Expected {what} to be real numbers, got {x.dtype}. Convert it, for "
            "instance with .astype(jnp.float32)."
        )
    if shapes is not None and x.shape not in shapes:
        allowed = " or ".join(str(s) for s in dict.fromkeys(shapes))
        raise ValueError(
            f"Expected {what} of shape {allowed}, got shape {x.shape}. Nothing is "
            "broadcast: give one entry per sample, or one per step."
        )
    return in_float32(x)


def _as_mask(mask: ArrayLike | None, shape: Shape) -> jax.Array:
    if mask is None:
        return jnp.ones(shape, bool)
    mask = jnp.asarray(mask)
    if mask.dtype != jnp.bool_:
        raise TypeError(
            "Expected mask to be boolean, True for what counts, got "
            f"{mask.dtype}. Compare it, for instance mask != 0."
        )
    if mask.shape != shape:
        raise ValueError(
            f"Expected mask of shape {shape}, got shape {mask.shape}. Nothing is "
            "broadcast: give one entry per step or sample."
        )
    return mask
