"""A policy for CartPole, as a file describes it."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jaxdiscrete as jd
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model


@dataclasses.dataclass(frozen=True)
class Settings(Model):
    """A policy that keeps the pole upright; every step of training is an episode."""

    hidden: tuple[int, ...] = bounded((10, 10), at_least=1)
    """Widths of the policy's layers."""
    activation: Literal["tanh", "relu", "leaky_relu"] = "relu"
    """Activation of the policy's layers."""
    init: Literal["orthogonal", "lecun_normal"] = "orthogonal"
    """Initial weights."""
    max_decisions: int = bounded(200, at_least=1)
    """Decisions after which an episode ends; each that is made has reward 1."""
    discount: float = bounded(0.99, at_least=0)
    """A decision is credited with later rewards times powers of this."""
    entropy_bonus: float = bounded(0.01, at_least=0)
    """This times the policy's entropy, in nats and summed over decisions, is
    maximised beside the reward."""
    solved_reward: float = 195.0
    """The problem is solved when the mean reward of the last episodes is this."""
    solved_window: int = bounded(100, at_least=1)
    """The number of these episodes."""
    num_gradients: int = bounded(100, at_least=2)
    """Gradients in each measurement of the variance along a trajectory."""

    @property
    def layer_size(self) -> tuple[int, int]:
        """One decision between two actions."""
        return 1, 2

    def check(self, config: Config) -> None:
        """Raises where credit cannot be given to decisions, or episodes not counted."""
        if self.discount > 1.0:
            raise UsageError(
                f"Expected model.discount <= 1, got {self.discount}. Rewards that are "
                "far away would count the most: lower it."
            )
        training = config.training
        per_block = training.steps_per_block * training.batch_size
        if self.solved_window % per_block:
            raise UsageError(
                "Expected model.solved_window to be a multiple of the "
                f"{per_block} episodes of a block, training.steps_per_block times "
                f"training.batch_size, got {self.solved_window}. Change one of them."
            )
        estimator = config.estimator
        if not estimator.sees_one_value or estimator.num_repeats > 1:
            raise UsageError(
                "Expected an estimator of one hard sample with model.task = 'policy', "
                "where a decision is made once and its costs are known afterwards, "
                f"got {estimator.name} with num_repeats = {estimator.num_repeats}. "
                "Choose reinforce, nvil or relax."
            )
        if estimator.credit is not jd.cost_to_go:
            raise UsageError(
                "Expected an estimator that leaves the credit of decisions to "
                f"model.discount with model.task = 'policy', got {estimator.name}. "
                "Choose reinforce, nvil or relax."
            )
