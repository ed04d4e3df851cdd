"""Images from a prior, through layers of discrete latents."""

from __future__ import annotations

import dataclasses
from typing import Literal

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.layered.settings import LayeredSettings
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config


@dataclasses.dataclass(frozen=True)
class Settings(LayeredSettings):
    """A generative belief network and its inference network."""

    prior: Literal["learned", "uniform"] = "learned"
    """Prior of the top layer."""
    divergence: Literal["sampled", "analytic", "concrete"] = "sampled"
    """How log q - log p of the latents enters: at the sample, in closed form where
    there is one, or as densities of the relaxed sample."""
    prior_temperature: float = bounded(0.5, above=0)
    """Temperature of the prior's relaxed density, for the concrete divergence."""

    def check(self, config: Config) -> None:
        """Raises where the divergence does not go with samples or estimator."""
        super().check(config)
        estimator = config.estimator
        if self.num_samples > 1 and self.divergence == "analytic":
            raise UsageError(
                "Expected model.divergence = 'sampled' or 'concrete' with "
                f"model.num_samples > 1, got 'analytic' with {self.num_samples}: a "
                "bound of several samples has no closed form. Choose one of them."
            )
        if estimator.is_bound and self.divergence != "sampled":
            raise UsageError(
                f"Expected model.divergence = 'sampled' with {estimator.name}, which "
                f"weights hard samples, got {self.divergence!r}. Change it."
            )
        if self.divergence == "concrete" and estimator.name != "gumbel_softmax":
            raise UsageError(
                "Expected estimator.name = 'gumbel_softmax' with model.divergence = "
                f"'concrete', a density of relaxed samples, got {estimator.name!r}. "
                "Choose another divergence."
            )
