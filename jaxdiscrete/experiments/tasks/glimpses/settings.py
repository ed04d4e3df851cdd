"""A network that looks at a few places of a canvas, as a file describes it."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.sequences import PATHWISE
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model

#: Estimators of one decision after another, and those of relaxed decisions.
ALLOWED = (
    "reinforce",
    "reinforce_constant_baseline",
    "reinforce_loo",
    "reinforce_whole_sequence",
    "nvil",
    "relax",
    "untrained",
    *PATHWISE,
)


@dataclasses.dataclass(frozen=True)
class Settings(Model):
    """A recurrent network that names a digit after glimpses of its own choice.

    The canvas holds the digit somewhere, and fragments of other digits. Places lie on
    a grid; the next one is chosen by the state after all glimpses before it.
    """

    canvas: tuple[int, ...] = bounded((60, 60), at_least=1)
    """Height and width of the canvas, in pixels."""
    num_fragments: int = bounded(4, at_least=0)
    """Fragments of other digits on the canvas."""
    fragment: int = bounded(8, at_least=1)
    """Height and width of a fragment."""
    grid: tuple[int, ...] = bounded((4, 4), at_least=1)
    """Rows and columns of places, evenly spread from edge to edge."""
    glimpse: int = bounded(12, at_least=1)
    """Height and width of what is seen at a place."""
    num_glimpses: int = bounded(6, at_least=1)
    """Places that are looked at, one after the other; one may be chosen again."""
    features: int = bounded(128, at_least=1)
    """Units that see a glimpse."""
    hidden: int = bounded(128, at_least=1)
    """Units of the GRU that reads glimpses."""
    cost: Literal["last", "every"] = "last"
    """The cross-entropy of the label: after the last glimpse, or its mean over the
    states after every glimpse."""

    @property
    def layer_size(self) -> tuple[int, int]:
        """One choice among the places."""
        return 1, math.prod(self.grid)

    def check(self, config: Config) -> None:
        """Raises where canvas, places or estimator are none that this task can use."""
        for name in ("canvas", "grid"):
            value = getattr(self, name)
            if len(value) != 2:
                raise UsageError(
                    f"Expected model.{name} to be two numbers, of rows and columns, "
                    f"got {len(value)}. Give two."
                )
        for size, places in zip(self.canvas, self.grid, strict=True):
            if self.glimpse > size:
                raise UsageError(
                    f"Expected model.glimpse <= {size}, a side of the canvas, got "
                    f"{self.glimpse}. Lower it."
                )
            if places > size - self.glimpse + 1:
                raise UsageError(
                    f"Expected model.grid of at most {size - self.glimpse + 1} places "
                    f"along {size} pixels, where a glimpse has {self.glimpse}, got "
                    f"{places}. Lower it."
                )
        config.check_images_stay()
        estimator = config.estimator
        if estimator.name not in ALLOWED or estimator.num_repeats > 1:
            raise UsageError(
                f"Expected estimator.name among {', '.join(ALLOWED)}, with "
                "num_repeats = 1, for model.task = 'glimpses', got "
                f"{estimator.name} with {estimator.num_repeats}. Change it."
            )
