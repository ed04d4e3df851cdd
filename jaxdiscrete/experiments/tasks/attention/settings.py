"""Masks of images and the classifiers that see through them, as a file has them."""

from __future__ import annotations

import dataclasses
import math

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model

#: Masks that are enumerated for every image.
MAX_STATES = 4096


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A classifier of images under random masks, trained once and kept."""

    hidden: tuple[int, ...] = bounded((200, 200), at_least=1)
    """Widths of the layers, each a ReLU with batch normalisation behind it."""
    num_epochs: int = bounded(500, at_least=1)
    """Passes over the training images, each with masks of its own."""
    batch_size: int = bounded(1000, at_least=1)
    """Images per step."""
    learning_rate: float = bounded(1e-4, above=0)
    """Step size of Adam."""
    epsilon: float = bounded(1e-7, at_least=0)
    """Added to Adam's root of the mean square."""
    adam_count: int = bounded(0, at_least=0)
    """Steps that Adam's bias correction counts before the first."""
    l2: float = bounded(1e-3, at_least=0)
    """This times the sum of squared weights is added to the cross-entropy."""
    seed: int = bounded(0, at_least=0)
    """Seed of its initial weights, batches and masks."""


@dataclasses.dataclass(frozen=True)
class Settings(Model):
    """A network that chooses a mask, and two frozen classifiers.

    The masks maximise the predictor's log-probability of the label less a penalty on
    what they show; the evaluator, which had no part in training, scores them.
    """

    hidden: tuple[int, ...] = bounded((100, 100), at_least=1)
    """Widths of the ReLU layers of the network that chooses."""
    mask: tuple[int, ...] = bounded((28, 28), at_least=1)
    """Height and width of a mask, whose variables show or hide equal parts of an
    image: those of the image itself for a variable per pixel."""
    penalty: float = bounded(5.0, at_least=0)
    """Price of showing the whole image, in nats."""
    floor: float = bounded(1e-5, at_least=0)
    """Added to the probability of the label before the logarithm, which it bounds."""
    num_gradients: int = bounded(20, at_least=2)
    """Gradients in each measurement of the variance, at the end of a block."""
    predictor: Classifier = Classifier()
    """The classifier that the masks are to satisfy."""
    evaluator: Classifier = Classifier(seed=1)
    """The classifier that scores them in the end."""

    @property
    def layer_size(self) -> tuple[int, int]:
        """The parts of an image, each shown or hidden."""
        return math.prod(self.mask), 2

    def check(self, config: Config) -> None:
        """Raises where seeds, mask, pixels or estimator are of no use to this task."""
        if len(self.mask) != 2:
            raise UsageError(
                "Expected model.mask to be a height and a width, got "
                f"{len(self.mask)} numbers. Give two, at most those of the images."
            )
        if self.evaluator.seed == self.predictor.seed:
            raise UsageError(
                "Expected model.evaluator.seed that is not model.predictor.seed, got "
                f"{self.evaluator.seed} in both: masks are scored by a network that "
                "had no part in training. Change one of them."
            )
        config.check_images_stay()
        estimator = config.estimator
        if estimator.is_bound or estimator.facts.needs.num_classes not in (None, 2):
            raise UsageError(
                "Expected an estimator of an expectation over binary variables with "
                f"model.task = 'attention', got {estimator.name}. Choose another."
            )
        number = math.prod(self.mask)
        if estimator.name == "exact" and number > math.log2(MAX_STATES):
            raise UsageError(
                f"Expected at most {MAX_STATES} masks with the exact estimator, got "
                f"2**{number}. Shrink model.mask, or choose another estimator."
            )
