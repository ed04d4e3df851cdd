"""Rows of ten features of which a few decide the label, as a file has them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model

NUM_FEATURES = 10


@dataclasses.dataclass(frozen=True)
class Settings(Model):
    """A network that chooses features of a row, and one that sees nothing else.

    Both minimise the cross-entropy of a label that is a probability.
    """

    problem: Literal["xor", "orange_skin", "additive", "switch"] = "xor"
    """The way in which the label depends on the features."""
    num_chosen: int = bounded(2, at_least=1)
    """Features that are chosen for each row, k of ten."""
    hidden: tuple[int, ...] = bounded((100, 100), at_least=1)
    """Widths of the layers of the network that chooses."""
    predictor_hidden: tuple[int, ...] = bounded((200, 200), at_least=1)
    """Widths of the layers of the network that sees the chosen features."""
    activation: Literal["relu", "selu"] = "relu"
    """Activation of both."""
    l2: float = bounded(1e-3, at_least=0)
    """This times the sum of squared weights is added to the loss; without those of the
    output of the network that chooses."""

    @property
    def layer_size(self) -> tuple[int, int]:
        """One variable, whose classes are the subsets."""
        return 1, math.comb(NUM_FEATURES, self.num_chosen)

    def check(self, config: Config) -> None:
        """Raises where there is no such subset, or the estimator cannot take one."""
        if self.num_chosen > NUM_FEATURES:
            raise UsageError(
                f"Expected model.num_chosen <= {NUM_FEATURES}, the number of features, "
                f"got {self.num_chosen}. Lower it."
            )
        estimator, needs = config.estimator, config.estimator.facts.needs
        # NumPy's zeros: reading a configuration computes nothing on a device.
        logits: Any = np.zeros(NUM_FEATURES, np.float32)
        q = jd.Subset(logits, self.num_chosen)
        if (
            estimator.is_bound
            or needs.num_classes is not None
            or not all(isinstance(q, protocol) for protocol in needs.protocols)
        ):
            raise UsageError(
                "Expected an estimator of an expectation over subsets with model.task "
                f"= 'feature_selection', got {estimator.name}, which is for "
                f"{needs.variables}. Choose reinforce_loo or gumbel_softmax."
            )
