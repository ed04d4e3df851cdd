"""What a file says of a chain of layers of discrete latents."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model

#: Joint states of the latents that are enumerated at every step.
MAX_STATES = 4096


@dataclasses.dataclass(frozen=True)
class LayeredSettings(Model):
    """A chain of layers of discrete latents between networks."""

    num_latents: tuple[int, ...] = bounded((32,), at_least=1)
    """Latent variables per stochastic layer, that next to the image first."""
    num_classes: int = bounded(2, at_least=2)
    """Values a latent takes: 2 for Bernoulli, more for one-hot categorical ones."""
    hidden: tuple[int, ...] = bounded((), at_least=1)
    """Widths of deterministic layers between stochastic ones; none is linear."""
    activation: Literal["tanh", "relu", "leaky_relu"] = "tanh"
    """Activation of the deterministic layers."""
    leak: float = bounded(0.01, at_least=0)
    """Slope of leaky_relu below zero."""
    init: Literal["lecun_normal", "glorot_uniform", "variance_scaling"] = "lecun_normal"
    """Initial weights; variance_scaling is truncated normal, fan in, factor 2."""
    mean_clip: float = bounded(0.01, above=0)
    """Pixel means are kept this far from 0 and 1 in the initial output bias."""
    num_samples: int = bounded(1, at_least=1)
    """Samples in the training bound; more than one with pathwise estimators only."""

    @property
    def divergence(self) -> str:
        """How log q - log p of the latents enters the cost."""
        return "sampled"

    @property
    def layer_size(self) -> tuple[int, int]:
        """The largest layer, and the classes of its variables."""
        return max(self.num_latents), self.num_classes

    @property
    def has_few_states(self) -> bool:
        """Whether the joint states of all latents can be enumerated."""
        # By logarithms: the number may have more digits than there is memory.
        log_states = sum(self.num_latents) * math.log2(self.num_classes)
        return log_states <= math.log2(MAX_STATES)

    def check(self, config: Config) -> None:
        """Raises where the estimator cannot train the objective or take the latents."""
        if not self.num_latents:
            raise UsageError(
                "Expected model.num_latents to be at least one number, got none. Give "
                "one per stochastic layer."
            )
        estimator, name = config.estimator, config.estimator.name
        if self.num_samples > 1 and not estimator.is_pathwise:
            raise UsageError(
                "Expected model.num_samples = 1 with an estimator that is not "
                f"pathwise, got {self.num_samples} with {name}. Set it to 1, or "
                "choose gumbel_softmax."
            )
        wanted = estimator.facts.needs.num_classes
        if wanted not in (None, self.num_classes):
            raise UsageError(
                f"Expected model.num_classes = {wanted} with {name}, an estimator for "
                f"{estimator.facts.needs.variables}, got {self.num_classes}. Change "
                "it, or choose reinforce_loo."
            )
        if name == "exact" and not self.has_few_states:
            raise UsageError(
                f"Expected at most {MAX_STATES} joint states of the latents with the "
                f"exact estimator, got {self.num_classes}**{sum(self.num_latents)}. "
                "Lower model.num_latents, or choose another estimator."
            )
        # All layers of a bound are one sample, of which only samples are known.
        asks_more = estimator.is_bound and estimator.facts.needs.protocols
        if asks_more and len(self.num_latents) > 1:
            raise UsageError(
                f"Expected model.num_latents to be one number with {name}, an "
                "estimator of one layer, got "
                f"{list(self.num_latents)}. Choose vimco, or another number of layers."
            )
