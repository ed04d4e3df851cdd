"""Lower halves of images from upper halves, through layers of discrete latents."""

from __future__ import annotations

import dataclasses

from jaxdiscrete.experiments.layered.settings import LayeredSettings


@dataclasses.dataclass(frozen=True)
class Settings(LayeredSettings):
    """A stochastic network from the upper half of an image to the lower one."""
