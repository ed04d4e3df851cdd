"""Models with layers of discrete latents."""

from jaxdiscrete.experiments.models.belief_network import (
    GenerativeNetwork,
    LayeredModel,
    StructuredNetwork,
    hardened,
    make_model,
)
from jaxdiscrete.experiments.models.networks import BaselineNet, Critic, apply

__all__ = [
    "BaselineNet",
    "Critic",
    "GenerativeNetwork",
    "LayeredModel",
    "StructuredNetwork",
    "apply",
    "hardened",
    "make_model",
]
