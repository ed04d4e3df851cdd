"""One Bernoulli variable and its target, as a file describes them."""

from __future__ import annotations

import dataclasses

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model


@dataclasses.dataclass(frozen=True)
class Settings(Model):
    """One Bernoulli variable z and the objective ``(z - target)^2``, minimised."""

    target: float = bounded(0.499, at_least=0)
    """Below 1/2 the optimum is z = 0."""
    logit: float = 0.0
    """Initial log-odds."""
    num_gradients: int = bounded(1000, at_least=2)
    """Gradients in each measurement of the variance, at the end of a block."""

    @property
    def layer_size(self) -> tuple[int, int]:
        """One bit."""
        return 1, 2

    def check(self, config: Config) -> None:
        """Raises where the estimator asks for inputs, or is a bound."""
        estimator = config.estimator
        if getattr(estimator, "baseline_hidden", ()) and getattr(
            estimator, "input_baseline", True
        ):
            raise UsageError(
                "Expected no baseline of the inputs, which one variable has not, got "
                f"one in {estimator.name}. Set estimator.input_baseline = false for "
                "nvil, estimator.baseline_hidden = [] for others."
            )
        if estimator.is_bound:
            raise UsageError(
                "Expected an estimator of an expectation over one Bernoulli variable "
                f"with model.task = 'toy', got {estimator.name}. Choose another."
            )
