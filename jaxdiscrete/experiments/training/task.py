"""What the training loop asks of a task, and how a configuration names one."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import jax
from tyro.conf import Fixed

from jaxdiscrete.experiments import tasks
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement

if TYPE_CHECKING:
    from jaxdiscrete.experiments.config.settings import Config
    from jaxdiscrete.experiments.output.figures import Picture
    from jaxdiscrete.experiments.training.state import TrainState

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

    def metrics(self, state: TrainState, data: Any) -> Metrics:
        """Scalars at the end of a block."""
        ...

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The numbers of the results, on the host; rows are those of the blocks."""
        ...

    def pictures(self, state: TrainState) -> dict[str, Picture]:
        """What a trained model makes, by file name; on the host."""
        ...

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the images in the pictures."""
        ...


@dataclasses.dataclass(frozen=True)
class Model:
    """The settings of a task, which every module of ``tasks`` extends."""

    task: Fixed[str] = dataclasses.field(default="", init=False)
    """The problem: a module of ``tasks``."""

    #: Whether training is that of a chain of layers of latents, by ``objective.loss``.
    is_layered: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.task = cls.__module__.rpartition(".")[2]

    @property
    def layer_size(self) -> tuple[int, int]:
        """Variables that are estimated at once, and the classes of each."""
        raise NotImplementedError

    def check(self, config: Config) -> None:
        """Raises UsageError where other tables do not go together with this one."""

    def make(self, config: Config, placement: Placement) -> Task:
        """The task of a configuration, whose ``model`` this is."""
        raise NotImplementedError


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


def on_one_device(task: Task) -> Task:
    """The same task for one process alone.

    Args:
      task: on any devices.

    Returns:
      A copy.
    """
    alone: Task = dataclasses.replace(task, placement=ONE_DEVICE)  # type: ignore[type-var]
    return alone


def task_names() -> list[str]:
    """All tasks.

    Returns:
      The names of the modules of ``tasks``.
    """
    return sorted(module.name for module in pkgutil.iter_modules(tasks.__path__))


def find_model(table: dict[str, Any], prefix: str) -> type[Model]:
    """The settings that ``[model]`` holds.

    Args:
      table: of a file, with the task's name if it is not the default one.
      prefix: of the keys' names, for error messages.

    Returns:
      The class of the task.

    Raises:
      UsageError: if there is no such task.
    """
    name, names = table.get("task", "generative"), task_names()
    if name not in names:
        raise UsageError(
            f"Expected {prefix}task among {', '.join(names)}, got {name!r}. Choose one "
            "of them."
        )
    module = importlib.import_module(f"{tasks.__name__}.{name}")
    settings: type[Model] = module.Settings
    return settings
