"""What the training loop asks of a task."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

import jax

from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState

if TYPE_CHECKING:
    from jaxdiscrete.experiments.output.figures import Picture

Params = Any
Metrics = dict[str, Any]


class Task(Protocol):
    """A problem to train on: a frozen dataclass, whose configuration can be replaced.

    All of it but the host's methods may be traced, also with traced numbers in the
    configuration, so that a sweep can map over them.
    """

    @property
    def config(self) -> Config:
        """The settings of the run."""
        ...

    @property
    def placement(self) -> Placement:
        """The devices that it is on."""
        ...

    @property
    def title(self) -> str:
        """What it trains on, for reports."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which all examples are seen once."""
        ...

    def data(self) -> Any:
        """Arrays on the device that every block reads."""
        ...

    def init(self, key: jax.Array) -> Params:
        """Initial parameters of the model."""
        ...

    def init_control_variates(self, params: Params, key: jax.Array) -> Params:
        """Initial parameters of the estimator, by layer."""
        ...

    def batches(self, first_step: jax.Array, num_steps: int, data: Any) -> Any:
        """What tells the examples of every step: arrays with the steps first."""
        ...

    def batch(self, key: jax.Array, chosen: Any, data: Any) -> Any:
        """The examples of one step."""
        ...

    def loss(
        self, params: Params, key: jax.Array, batch: Any, step: jax.Array
    ) -> jax.Array:
        """A scalar whose gradient is the estimated one."""
        ...

    def metrics(self, state: TrainState, losses: jax.Array, data: Any) -> Metrics:
        """Scalars at the end of a block, whose steps had these losses."""
        ...

    def log_variances(self, state: TrainState) -> Metrics:
        """Logarithms of the variance of the model's gradient, ``log_variance`` first.

        The state is that of the run, or of an estimator that follows it.
        """
        ...

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The numbers of the results, on the host; rows are those of the blocks."""
        ...

    def pictures(self, state: TrainState) -> dict[str, Picture]:
        """What a trained model makes, by file name; on the host."""
        ...

    def texts(self, state: TrainState) -> dict[str, list[str]]:
        """What a trained model writes, by file name; on the host."""
        ...

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the images in the pictures."""
        ...


def at_config(task: Task, config: Config) -> Task:
    """The same task, with the same data, of a configuration with other numbers.

    Args:
      task: of a configuration.
      config: which differs in numbers that may be traced.

    Returns:
      A copy.
    """
    changed: Task = dataclasses.replace(task, config=config)  # type: ignore[type-var]
    return changed


def with_start(task: Task, model: Params) -> Task:
    """The same task, which begins with the model of another run.

    Args:
      task: that has a ``first`` model.
      model: parameters of the model of a run that came before.

    Returns:
      A copy.
    """
    started: Task = dataclasses.replace(task, first=model)  # type: ignore[type-var]
    return started


def on_one_device(task: Task) -> Task:
    """The same task for one process alone.

    Args:
      task: on any devices.

    Returns:
      A copy.
    """
    alone: Task = dataclasses.replace(task, placement=ONE_DEVICE)  # type: ignore[type-var]
    return alone
