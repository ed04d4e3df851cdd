"""All tasks by their names, and from a configuration to its task."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from jaxdiscrete.experiments import tasks
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.check import check_schedules
from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.training.settings import Config, Model
from jaxdiscrete.experiments.training.task import Task


def task_names() -> list[str]:
    """All tasks.

    Returns:
      The names of the folders of ``tasks``.
    """
    found = pkgutil.iter_modules(tasks.__path__)
    return sorted(module.name for module in found if module.ispkg)


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
    # The settings alone: reading a configuration imports no network.
    module = importlib.import_module(f"{tasks.__name__}.{name}.settings")
    settings: type[Model] = module.Settings
    return settings


def make_task(config: Config, placement: Placement = ONE_DEVICE) -> Task:
    """The task of a configuration, with its data.

    Args:
      config: a checked configuration.
      placement: on which devices. Default: one.

    Returns:
      The task.

    Raises:
      UsageError: if the data cannot be used, or a schedule leaves its range.
    """
    check_schedules(config, config.training.num_steps)
    module = importlib.import_module(f"{tasks.__name__}.{config.model.task}.task")
    task: Task = module.make(config, placement)
    return task
