"""The settings of a run, table by table as in a file."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from tyro.conf import Fixed

from jaxdiscrete.experiments.data.settings import Data
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.base import Estimator
from jaxdiscrete.experiments.settings.fields import Scheduled, bounded, scheduled


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """The model's optimiser, and apart from it that of the control variate."""

    name: Literal["adam", "rmsprop", "sgd"] = "adam"
    """Adam, RMSProp, or gradient descent with momentum."""
    learning_rate: Scheduled = scheduled(1e-3, at_least=0)
    """Step size of the model's parameters, a number or a schedule."""
    momentum: float = bounded(0.9, at_least=0, below=1)
    """Decay of the mean of gradients, Adam's beta 1; of RMSProp, of that of steps."""
    square_decay: float = bounded(0.999, at_least=0, below=1)
    """Decay of the mean of squared gradients; Adam's beta 2."""
    epsilon: float = bounded(1e-8, at_least=0)
    """Added to Adam's root of the mean square."""
    adam_count: int = bounded(0, at_least=0)
    """Steps that Adam's bias correction counts before the first, for the model: from
    thousands on there is none, and the first steps are longer."""
    clip_norm: float = bounded(0.0, at_least=0)
    """Largest norm of the model's gradient, to which longer ones are scaled; 0 for no
    limit."""
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
    num_final_examples: int = bounded(1000, at_least=1)
    """Randomly chosen training and validation examples in the final bounds; at most
    all."""
    num_test_examples: int = bounded(100_000, at_least=1)
    """Randomly chosen test examples in the final bounds; at most all."""


@dataclasses.dataclass(frozen=True)
class Model:
    """The settings of a task: every folder of ``tasks`` has a subclass."""

    task: Fixed[str] = dataclasses.field(default="", init=False)
    """The problem to train on: a folder of ``tasks``."""

    #: Whether other runs begin with it, so that it is kept by the hash of its settings.
    is_shared: ClassVar[bool] = False

    #: Whether q is a Gaussian in place of anything discrete.
    is_gaussian: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.task = cls.__module__.split(".")[-2]

    @property
    def layer_size(self) -> tuple[int, int]:
        """Variables that are estimated at once, and the classes of each."""
        raise NotImplementedError

    @property
    def learning_rates(self) -> dict[str, Scheduled]:
        """Learning rates of parts of the model that do not have the optimiser's."""
        return {}

    def start(self, config: Config) -> Config | None:
        """The run whose model this one begins with, if there is one.

        Args:
          config: of this run.

        Returns:
          Its configuration, or None.
        """
        del config
        return None

    def check(self, config: Config) -> None:
        """Raises UsageError where other tables do not go together with this one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One training run."""

    seed: int = bounded(0, at_least=0)
    """Seed of initial parameters, batches and samples."""
    data: Data = Data()
    model: Model
    optimizer: Optimizer = Optimizer()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    estimator: Estimator

    def check_images_stay(self) -> None:
        """Checks that an image is the same in every epoch.

        Raises:
          UsageError: if the data are binarized anew, or how is not given.
        """
        if self.data.binarization in (None, "dynamic"):
            raise UsageError(
                "Expected data.binarization that leaves an image the same in every "
                f"epoch for model.task = {self.model.task!r}, got "
                f"{self.data.binarization or 'none given'!r}. Set it to 'none' for "
                "grey images."
            )

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
