"""The structured task: its network and pictures, trained by the layers' costs."""

from __future__ import annotations

from jaxdiscrete.experiments.layered.task import LayeredTask
from jaxdiscrete.experiments.tasks.structured.network import StructuredNetwork
from jaxdiscrete.experiments.tasks.structured.pictures import draw
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config


def make(config: Config, placement: Placement) -> LayeredTask:
    """The task with the configured data.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.

    Raises:
      UsageError: if the data cannot be used.
    """
    return LayeredTask.load(config, placement, StructuredNetwork, draw)
