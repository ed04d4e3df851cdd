"""CartPole's episodes, the credit of their decisions, and when a policy has learned."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.networks import MLP, apply
from jaxdiscrete.experiments.tasks.policy import cartpole
from jaxdiscrete.experiments.tasks.policy.settings import Settings
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.one_layer import OneLayer
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, gradient_log_variance
from jaxdiscrete.experiments.training.task import Metrics, Params
from jaxdiscrete.experiments.training.without_data import TaskWithoutData


def discounted_to_go(costs: jax.Array, discount: float) -> jax.Array:
    r"""What every decision is credited with, :math:`\sum_{s\ge t}\gamma^{s-t}c_s`.

    Discounted from the decision on and not from the start of the episode, as is usual
    in practice: for a discount below 1 not quite a gradient of anything.

    Args:
      costs: ``[time]``, of single decisions.
      discount: of one step.

    Returns:
      ``[time]``.
    """

    def back(later: jax.Array, cost: jax.Array) -> tuple[jax.Array, jax.Array]:
        credit = cost + discount * later
        return credit, credit

    credits: jax.Array = jax.lax.scan(back, jnp.zeros(()), costs, reverse=True)[1]
    return credits


@dataclasses.dataclass(frozen=True, eq=False)
class PolicyTask(OneLayer, TaskWithoutData):
    """The problem of :class:`Settings`; a batch is that many episodes."""

    title = "CartPole-v0"

    @property
    def settings(self) -> Settings:
        """The settings of the problem."""
        return cast(Settings, self.config.model)

    def init(self, key: jax.Array) -> Params:
        """The policy's network."""
        return self._network.init(key, jnp.zeros(cartpole.STATE_SIZE))["params"]

    @property
    def latents(self) -> LatentSpec:
        """An action, of which a baseline sees the state of the cart."""
        state, action = jnp.zeros(cartpole.STATE_SIZE), jnp.zeros(cartpole.NUM_ACTIONS)
        return LatentSpec(action, (), state)

    def batch(self, key: jax.Array, chosen: jax.Array, data: Any) -> jax.Array:
        """The states in which the episodes start, ``[batch, 4]``."""
        del chosen, data
        keys = jax.random.split(key, self.config.training.batch_size)
        return jax.vmap(cartpole.start)(keys)

    def loss(
        self, params: Params, key: jax.Array, batch: jax.Array, step: jax.Array
    ) -> jax.Array:
        """Minus the mean reward of the episodes, with the estimated gradient.

        The gradient is also that of the entropy bonus, which is known exactly; the
        value has nothing of it.
        """
        keys = jax.random.split(key, len(batch))
        return jax.vmap(self._episode, (None, 0, 0, None))(
            params, keys, batch, step
        ).mean()

    def _episode(
        self, params: Params, key: jax.Array, start: jax.Array, step: jax.Array
    ) -> jax.Array:
        settings, estimator = self.settings, self.config.estimator
        control_variate = params["control_variate"]["layer_0"]

        def policy(state: jax.Array, t: jax.Array) -> Any:
            return self.policy(params["model"], state), (state,)

        def act(state: jax.Array, action: jax.Array, t: jax.Array) -> Any:
            return cartpole.move(state, action[1] > action[0]), (-1.0, state)

        estimate = jd.sequential(
            lambda f: estimator.build(f, control_variate, step),
            policy,
            act,
            credit=lambda costs: discounted_to_go(costs, settings.discount),
            active=lambda state, t: cartpole.is_up(state),
            has_aux=True,
        )
        decisions = jnp.arange(settings.max_decisions)
        value, (_, (costs, states)) = estimate(key, start, decisions)
        entropy = jax.vmap(lambda s: self.policy(params["model"], s).entropy())(states)
        # What is recorded past the end is no state of the episode; nothing costs there.
        entropy = jnp.where(costs < 0.0, entropy, 0.0)
        bonus = settings.entropy_bonus * entropy.sum()
        reshaped: jax.Array = value - (bonus - jax.lax.stop_gradient(bonus))
        return reshaped

    def policy(self, weights: Params, state: jax.Array) -> jd.OneHotCategorical:
        """The distribution of the action in a state."""
        return jd.OneHotCategorical(apply(self._network, weights, state))

    def log_variances(self, state: TrainState) -> Metrics:
        """The gradient's variance at a state, over fresh episodes.

        Two estimators at the same policy and step are measured on the same episodes.

        Args:
          state: with the estimator's parameters.

        Returns:
          ``log_variance``, averaged over the policy's parameters.
        """
        key = jax.random.fold_in(
            stream(self.config.seed, Stream.EVALUATION), state.step
        )

        # That of the last step, whose value the schedules have.
        step = state.step - 1

        def gradient(key: jax.Array) -> Any:
            key_start, key = jax.random.split(key)
            batch = self.batch(key_start, jnp.zeros(0), None)
            return jax.grad(self.loss)(state.params, key, batch, step)["model"]

        keys = jax.random.split(key, self.settings.num_gradients)
        return {"log_variance": gradient_log_variance(jax.vmap(gradient)(keys))}

    def metrics(self, state: TrainState, losses: jax.Array, data: Any) -> Metrics:
        """The mean reward of the block's episodes.

        Args:
          state: not used.
          losses: of the steps.
          data: not used.

        Returns:
          ``reward``.
        """
        del state, data
        return {"reward": -losses.mean()}

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The episodes until the policy had learned, and its reward at the end.

        Args:
          state: not used.
          rows: metrics of all blocks.

        Returns:
          ``episodes`` until the last ``solved_window`` of them had the mean reward
          ``solved_reward``, asked after every block, and all episodes where that never
          was; ``solved``, 1 or 0; ``reward`` of the last episodes, and ``loss``.
        """
        del state
        training, settings = self.config.training, self.settings
        per_block = training.steps_per_block * training.batch_size
        width = settings.solved_window // per_block
        rewards = [row["reward"] for row in rows]
        # Fewer episodes than the window are no evidence.
        solved_at = next(
            (
                end
                for end in range(width, len(rewards) + 1)
                if math.fsum(rewards[end - width : end]) / width
                >= settings.solved_reward
            ),
            None,
        )
        reward = math.fsum(rewards[-width:]) / len(rewards[-width:])
        return {
            "episodes": float(per_block * (solved_at or len(rewards))),
            "solved": float(solved_at is not None),
            "reward": reward,
            "loss": -reward,
        }

    @property
    def _network(self) -> MLP:
        settings = self.settings
        return MLP(
            settings.hidden,
            cartpole.NUM_ACTIONS,
            settings.activation,
            init_name=settings.init,
        )


def make(config: Config, placement: Placement) -> PolicyTask:
    """The task, which has no data.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.
    """
    return PolicyTask(config, placement)
