"""The two frozen classifiers of a task: read where they were kept, or else trained."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from rich.console import Console

from jaxdiscrete.experiments.output import kept
from jaxdiscrete.experiments.tasks.attention.classifier import Examples, Trained, train
from jaxdiscrete.experiments.tasks.attention.network import AttentionNetwork
from jaxdiscrete.experiments.tasks.attention.settings import Classifier

KIND = "classifier"
#: Changes where the same settings come to mean another training.
VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class FrozenClassifiers:
    """The predictor and the evaluator, each of them there when it is first asked for.

    Copies of a task share this object, so that a classifier is read or trained once.

    Args:
      masks: the network that chooses, whose settings describe both.
      examples: images and labels that they are trained on.
      title: of the data set.
    """

    masks: AttentionNetwork
    examples: Examples
    title: str

    @functools.cached_property
    def predictor(self) -> Trained:
        """The classifier that the masks are to satisfy.

        Raises:
          UsageError: as :meth:`check`.
          RunError: if a loss is not finite.
        """
        return self._recall("predictor", self.masks.settings.predictor)

    @functools.cached_property
    def evaluator(self) -> Trained:
        """The classifier that scores them, which training never asks.

        Raises:
          UsageError, RunError: as :attr:`predictor`.
        """
        return self._recall("evaluator", self.masks.settings.evaluator)

    def check(self) -> None:
        """Raises at once what would keep a classifier from being there in time.

        Raises:
          UsageError: if a file is damaged, or the folder cannot be written to.
        """
        self._find(self.masks.settings.predictor)
        self._find(self.masks.settings.evaluator)

    def _recall(self, name: str, settings: Classifier) -> Trained:
        arrays = self._find(settings)
        if arrays is not None:
            loss, accuracy = arrays.pop("loss"), arrays.pop("accuracy")
            return Trained(unflatten_dict(arrays, sep="/"), loss, accuracy)
        trained = train(settings, self.examples, self.masks, Console(), name)
        curves = {"loss": trained.loss, "accuracy": trained.accuracy}
        weights = flatten_dict(trained.weights, sep="/")
        kept.keep(KIND, self._origin(settings), weights | curves)
        return trained

    def _find(self, settings: Classifier) -> dict[str, np.ndarray] | None:
        """Arrays that were kept of these settings; else a folder for them is there."""
        arrays = kept.find(KIND, self._origin(settings))
        if arrays is None:
            # Found only after training, this would cost the minutes of it.
            kept.open_kept()
        return arrays

    def _origin(self, settings: Classifier) -> dict[str, Any]:
        """Plain values that tell a classifier from every other."""
        return {
            "version": VERSION,
            "mask": list(self.masks.settings.mask),
            "classifier": dataclasses.asdict(settings),
            "examples": {"data": self.title, "checksum": self._checksum},
        }

    @functools.cached_property
    def _checksum(self) -> str:
        rows, labels = map(np.asarray, self.examples[:2])
        return hashlib.sha256(rows.tobytes() + labels.tobytes()).hexdigest()
