"""Digits that are to be found and named in a few glimpses."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data.dataset import shuffled_subset
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.tasks.glimpses.episodes import Episodes
from jaxdiscrete.experiments.tasks.glimpses.evaluation import (
    mean_outcomes,
    outcomes,
)
from jaxdiscrete.experiments.tasks.glimpses.network import GlimpseNetwork
from jaxdiscrete.experiments.tasks.glimpses.pictures import draw
from jaxdiscrete.experiments.tasks.glimpses.scenes import Maker, Scene, make_scenes
from jaxdiscrete.experiments.tasks.glimpses.settings import Settings
from jaxdiscrete.experiments.training.dataset import DatasetTask, load_labelled
from jaxdiscrete.experiments.training.images import NUM_IMAGES, one_per_class
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.one_layer import OneLayer
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState
from jaxdiscrete.experiments.training.task import Metrics

#: Held-out scenes are the same in every run, whatever its seed.
_SEED = 0
#: Scenes among which those of the pictures are the first of their class.
_NUM_TO_CHOOSE_FROM = 500


class Data(NamedTuple):
    """Everything that training and evaluation read, on the device."""

    train: jax.Array
    labels: jax.Array
    valid: Scene
    valid_labels: jax.Array


class Batch(NamedTuple):
    """The scenes of a step, and their labels."""

    image: jax.Array
    label: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class GlimpseTask(OneLayer, DatasetTask):
    """Scenes that are made as they are needed: no two of training are the same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        digit = self.dataset.image_shape
        for size, room in zip(digit, self.settings.canvas, strict=True):
            if size > room:
                raise UsageError(
                    f"Expected model.canvas >= {digit[0]} x {digit[1]}, the size of "
                    f"the images of {self.title}, got {self.settings.canvas[0]} x "
                    f"{self.settings.canvas[1]}. Enlarge it."
                )
        if self.settings.fragment > min(digit):
            raise UsageError(
                f"Expected model.fragment <= {min(digit)}, a side of the images of "
                f"{self.title}, got {self.settings.fragment}. Lower it."
            )

    @property
    def settings(self) -> Settings:
        """The settings of the model."""
        return cast(Settings, self.config.model)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of a scene."""
        height, width = self.settings.canvas
        return height, width

    @functools.cached_property
    def network(self) -> GlimpseNetwork:
        """The network that looks."""
        labels = self.dataset.train_labels
        assert labels is not None
        return GlimpseNetwork(self.settings, int(labels.max()) + 1)

    @property
    def episodes(self) -> Episodes:
        """The looking at scenes, for a gradient."""
        return Episodes(self.config, self.network)

    @property
    def _maker(self) -> Maker:
        white = 255.0 if self.dataset.is_grey else 1.0
        return Maker(self.settings, self.dataset.image_shape, white)

    def data(self) -> Data:
        """Training images with labels, and scenes for evaluation."""
        num = self.config.evaluation.num_examples
        scenes, labels = self.held_out(
            self.dataset.valid, self.dataset.valid_labels, num
        )
        parts = (self.dataset.train, self.dataset.train_labels, scenes, labels)
        return Data(*self.placement.replicate(parts))

    def held_out(
        self, images: np.ndarray, labels: np.ndarray | None, num: int
    ) -> tuple[Scene, jax.Array]:
        """Scenes that are the same ones every time.

        Args:
          images: as they are stored.
          labels: of the images.
          num: how many, at most all.

        Returns:
          The scenes, with fragments of the same images, and their labels.
        """
        assert labels is not None
        chosen = shuffled_subset(np.arange(len(images)), num)
        key = jax.random.key(_SEED)
        scenes = make_scenes(self._maker, key, jnp.asarray(chosen), jnp.asarray(images))
        return scenes, jnp.asarray(labels[chosen])

    @property
    def latents(self) -> LatentSpec:
        """A place, of which a baseline sees the state and the number of the glimpse."""
        _, num_places = self.settings.layer_size
        inputs = jnp.zeros(self.settings.hidden + self.settings.num_glimpses)
        return LatentSpec(jnp.zeros(num_places), (), inputs)

    def batch(self, key: jax.Array, chosen: jax.Array, data: Data) -> Batch:
        """New scenes with the images of some rows.

        Args:
          key: PRNG key.
          chosen: rows of the training set.
          data: as from :meth:`data`.

        Returns:
          The scenes and their labels.
        """
        scenes = self._maker(key, chosen, data.train)
        return Batch(scenes.image, data.labels[chosen])

    def loss(
        self, params: Params, key: jax.Array, batch: Batch, step: jax.Array
    ) -> jax.Array:
        """The cost of the glimpses, with the estimated gradient.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key, split over the batch.
          batch: as from :meth:`batch`.
          step: the training step, for schedules.

        Returns:
          A scalar, the mean over the batch, in nats.
        """
        split = self.placement.split
        keys = split(jax.random.split(key, len(batch.label)))
        images, labels = split(batch.image), split(batch.label)
        return jax.vmap(self.episodes.estimate, (None, 0, 0, 0, None))(
            params, keys, images, labels, step
        ).mean()

    def metrics(self, state: TrainState, losses: jax.Array, data: Data) -> Metrics:
        """Hard choices in validation scenes, and the gradient variance.

        Args:
          state: at the end of a block.
          losses: not used.
          data: as from :meth:`data`.

        Returns:
          Scalars.
        """
        del losses
        key = stream(self.config.seed, Stream.EVALUATION)
        key = jax.random.fold_in(key, state.step)
        weights = state.params["model"]
        outcome = outcomes(self.network, weights, key, data.valid, data.valid_labels)
        return {
            "valid_accuracy": outcome.is_right.mean(),
            "ink": outcome.ink.mean(),
        } | self.log_variances(state)

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The metrics of the results, on test scenes.

        Args:
          state: after training.
          rows: metrics of all blocks.

        Returns:
          Accuracy with its standard error over scenes, cross-entropy in nats, the
          share of the ink that was seen, the last training loss, and log variances.
        """
        settings, weights = self.config.evaluation, state.params["model"]
        scenes, labels = self.held_out(
            self.dataset.test, self.dataset.test_labels, settings.num_test_examples
        )

        outcome = mean_outcomes(
            self.network,
            weights,
            stream(self.config.seed, Stream.FINAL),
            scenes,
            labels,
            settings.num_samples,
        )
        outcome = jax.tree.map(np.asarray, outcome)
        error = outcome.is_right.std(ddof=1) / np.sqrt(len(outcome.is_right))
        last = ("loss", "log_variance", "encoder_log_variance")
        final = {
            "test_accuracy": outcome.is_right.mean(),
            "test_accuracy_se": error,
            "test_cross_entropy": outcome.cross_entropy.mean(),
            "test_ink": outcome.ink.mean(),
            **{name: rows[-1][name] for name in last},
        }
        return {name: float(value) for name, value in final.items()}

    def pictures(self, state: TrainState) -> dict[str, Picture]:
        """Glimpses of test scenes, one of each class.

        Args:
          state: after training.

        Returns:
          By file name.
        """
        scenes, labels = self.held_out(
            self.dataset.test, self.dataset.test_labels, _NUM_TO_CHOOSE_FROM
        )
        shown = one_per_class(np.asarray(labels), NUM_IMAGES)
        key = stream(self.config.seed, Stream.FIGURES)
        return draw(self.network, state.params["model"], key, scenes.image[shown])


def make(config: Config, placement: Placement) -> GlimpseTask:
    """The task with the configured digits.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.

    Raises:
      UsageError: if the data cannot be used, or have no labels.
    """
    return GlimpseTask(config, load_labelled(config), placement)
