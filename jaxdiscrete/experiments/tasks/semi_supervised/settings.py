"""Training with a few labels: the class is a sample where no label is given."""

from __future__ import annotations

import dataclasses

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model

NUM_LABELS = 10


@dataclasses.dataclass(frozen=True)
class Settings(Model):
    """An autoencoder of images and a class that few of them tell."""

    channels: tuple[int, ...] = bounded((32, 64, 64), at_least=1)
    """Channels of the convolutions."""
    num_gaussian: int = bounded(32, at_least=1)
    """Gaussian latents beside the class."""
    num_labelled: int = bounded(100, at_least=10)
    """Training images with a label, the same number of every class."""
    label_weight: float = bounded(0.1, at_least=0)
    """Weight of log q of the given class in the loss of a labelled image."""

    @property
    def layer_size(self) -> tuple[int, int]:
        """One class."""
        return 1, NUM_LABELS

    def check(self, config: Config) -> None:
        """Raises where labels do not divide, or the estimator is of a bound."""
        each, rest = divmod(self.num_labelled, NUM_LABELS)
        if rest or not each:
            raise UsageError(
                f"Expected model.num_labelled to be a multiple of {NUM_LABELS}, the "
                f"same number of every class, got {self.num_labelled}. Change it."
            )
        estimator = config.estimator
        if estimator.is_bound or estimator.facts.needs.num_classes == 2:
            raise UsageError(
                "Expected an estimator of an expectation over ten classes with "
                f"model.task = 'semi_supervised', got {estimator.name}. Choose "
                "gumbel_softmax or exact."
            )
