"""The settings of a run, table by table as in a file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from jaxdiscrete.experiments.config.fields import Scheduled, bounded, scheduled
from jaxdiscrete.experiments.estimators.base import Estimator
from jaxdiscrete.experiments.estimators.score_function import Reinforce
from jaxdiscrete.experiments.tasks.generative import Settings as Generative
from jaxdiscrete.experiments.training.task import Model

if TYPE_CHECKING:
    from jaxdiscrete.experiments.config.claims import ShortLength


@dataclasses.dataclass(frozen=True)
class Data:
    """Which images, and how they became binary."""

    name: str = "digits"
    """A data set; jaxdiscrete data list shows them."""
    binarization: str | None = None
    """One of the set's ways to make pixels binary. Default: its first."""


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """The model's optimiser, and apart from it that of the control variate."""

    name: Literal["adam", "sgd"] = "adam"
    """Adam, or gradient descent with momentum."""
    learning_rate: Scheduled = scheduled(1e-3, at_least=0)
    """Step size of the model's parameters, a number or a schedule."""
    momentum: float = bounded(0.9, at_least=0)
    """Decay of the mean of gradients; Adam's beta 1."""
    square_decay: float = bounded(0.999, at_least=0)
    """Decay of the mean of squared gradients; Adam's beta 2."""
    epsilon: float = bounded(1e-8, at_least=0)
    """Added to Adam's root of the mean square."""
    adam_count: int = bounded(0, at_least=0)
    """Steps that Adam's bias correction counts before the first, for the model: from
    thousands on there is none, and the first steps are longer."""
    weight_decay: float = bounded(0.0, at_least=0)
    """This times the weight is added to the model's gradient."""
    control_variate_factor: float = bounded(1.0, above=0)
    """Learning rate of control variates, as a multiple of the model's."""
    moving_average_rate: float = bounded(0.1, above=0)
    """One minus the decay of what an estimator keeps as a moving average."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How long to train, and how often to report and save."""

    num_steps: int = bounded(10_000, at_least=1)
    """Gradient steps; a multiple of steps_per_block."""
    batch_size: int = bounded(50, at_least=1)
    """Examples per step; what does not fill a batch waits for another epoch."""
    steps_per_block: int = bounded(500, at_least=1)
    """Steps compiled into one call, after which metrics come back."""
    blocks_per_checkpoint: int = bounded(10, at_least=1)
    """Blocks between two checkpoints; the last block always has one."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How many samples and examples the metrics are averaged over."""

    num_samples: int = bounded(100, at_least=1)
    """Samples per example in the final bounds."""
    num_examples: int = bounded(1000, at_least=1)
    """Randomly chosen training and validation examples after every block."""
    num_test_examples: int = bounded(100_000, at_least=1)
    """Randomly chosen test examples in the final bounds; at most all."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One training run."""

    seed: int = bounded(0, at_least=0)
    """Seed of initial parameters, batches and samples."""
    data: Data = Data()
    model: Model = Generative()
    optimizer: Optimizer = Optimizer()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    estimator: Estimator = Reinforce()

    @property
    def num_steps(self) -> int:
        """The full length in gradient steps."""
        return self.training.num_steps

    @property
    def calls_of_f(self) -> int:
        """Calls of a layer's objective in one gradient."""
        return self.estimator.calls_of_f(*self.model.layer_size)

    def with_steps(self, num_steps: int) -> Config:
        """The same run at another length.

        Args:
          num_steps: gradient steps.

        Returns:
          A copy.
        """
        training = dataclasses.replace(self.training, num_steps=num_steps)
        return dataclasses.replace(self, training=training)

    def at_length(self, short: ShortLength) -> Config:
        """The same run at its short length.

        Args:
          short: of the file.

        Returns:
          A copy.
        """
        evaluation = dataclasses.replace(
            self.evaluation,
            num_test_examples=short.num_test_examples,
            num_samples=short.num_samples,
        )
        shortened = dataclasses.replace(self, evaluation=evaluation)
        return shortened.with_steps(short.num_steps)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Estimators of a gradient that is known, measured at several temperatures.

    The objective is E[cos z] for one categorical z in {0, ..., K - 1}.
    """

    seed: int = bounded(0, at_least=0)
    """Seed of the samples."""
    logits: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Unnormalised log-probabilities of the classes 0, 1, 2, ..."""
    temperatures: tuple[float, ...] = bounded((0.1, 0.5, 1.0, 2.0), above=0)
    """Temperatures, to which the critical one is added."""
    num_gradients: int = bounded(100_000, at_least=2)
    """Gradient estimates for each estimator and temperature."""
