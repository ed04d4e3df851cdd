"""From a configuration to its task."""

from __future__ import annotations

from jaxdiscrete.experiments.config.check import check_schedules
from jaxdiscrete.experiments.config.settings import Config
from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.training.task import Task


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
    check_schedules(config)
    return config.model.make(config, placement)
