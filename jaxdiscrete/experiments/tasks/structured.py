"""Lower halves of images from upper halves, through layers of discrete latents."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from jaxdiscrete.experiments.models.settings import LayeredSettings

if TYPE_CHECKING:
    from jaxdiscrete.experiments.config.settings import Config
    from jaxdiscrete.experiments.training.placement import Placement
    from jaxdiscrete.experiments.training.task import Task


@dataclasses.dataclass(frozen=True)
class Settings(LayeredSettings):
    """A stochastic network from the upper half of an image to the lower one."""

    def make(self, config: Config, placement: Placement) -> Task:
        """The task: training by the layers' costs."""
        # Only here: reading a configuration imports no network.
        from jaxdiscrete.experiments.models.structured import StructuredNetwork
        from jaxdiscrete.experiments.training.layered import LayeredTask
        from jaxdiscrete.experiments.training.pictures import structured_pictures

        return LayeredTask.load(
            config, placement, StructuredNetwork, structured_pictures
        )
