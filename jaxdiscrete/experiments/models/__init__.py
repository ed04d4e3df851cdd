"""Models with layers of discrete latents."""

import numpy as np

from jaxdiscrete.experiments.models.generative import GenerativeNetwork
from jaxdiscrete.experiments.models.layered import LayeredModel, hardened
from jaxdiscrete.experiments.models.networks import BaselineNet, Critic, apply
from jaxdiscrete.experiments.models.structured import StructuredNetwork
from jaxdiscrete.experiments.settings import Model

__all__ = [
    "TASKS",
    "BaselineNet",
    "Critic",
    "GenerativeNetwork",
    "LayeredModel",
    "StructuredNetwork",
    "apply",
    "hardened",
    "make_model",
]

TASKS: dict[str, type[GenerativeNetwork] | type[StructuredNetwork]] = {
    "generative": GenerativeNetwork,
    "structured": StructuredNetwork,
}


def make_model(
    settings: Model, pixel_mean: np.ndarray
) -> GenerativeNetwork | StructuredNetwork:
    """The model of a configuration.

    Args:
      settings: of the model.
      pixel_mean: mean of the training images, one entry a pixel.

    Returns:
      The model of ``settings.task``.
    """
    return TASKS[settings.task](settings, pixel_mean)
