"""The loss of images of which a few have labels, and the accuracy of their class."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data.dataset import shuffled_subset
from jaxdiscrete.experiments.data.load import load_dataset
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.tasks.semi_supervised.network import SemiSupervisedNetwork
from jaxdiscrete.experiments.tasks.semi_supervised.pictures import draw
from jaxdiscrete.experiments.tasks.semi_supervised.settings import NUM_LABELS, Settings
from jaxdiscrete.experiments.training.images import Bounds, ImageTask
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.one_layer import OneLayer
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState
from jaxdiscrete.experiments.training.task import Metrics, Params


@dataclasses.dataclass(frozen=True, eq=False)
class SemiSupervisedTask(OneLayer, ImageTask):
    """One run of which a few training images have labels.

    The loss of a batch is that of its images without labels, plus that of as many
    labelled images drawn at random.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dataset.train_labels is None:
            raise UsageError(
                "Expected a data set with labels for model.task = 'semi_supervised', "
                f"got {self.dataset.title}. Set data.name to mnist or fashion_mnist."
            )

    @property
    def settings(self) -> Settings:
        """The settings of the model."""
        return cast(Settings, self.config.model)

    @functools.cached_property
    def network(self) -> SemiSupervisedNetwork:
        """The network, centred at the training mean."""
        return SemiSupervisedNetwork(
            self.settings, self.pixel_mean, self.dataset.image_shape
        )

    @functools.cached_property
    def labelled(self) -> tuple[np.ndarray, np.ndarray]:
        """Labelled images and their labels, the same ones for every seed."""
        labels = self.dataset.train_labels
        assert labels is not None
        each = self.settings.num_labelled // NUM_LABELS
        chosen = [
            shuffled_subset(np.flatnonzero(labels == c), each)
            for c in range(NUM_LABELS)
        ]
        rows = np.concatenate(chosen)
        return self.dataset.train[rows], labels[rows]

    @property
    def latents(self) -> LatentSpec:
        """The class of an image, of which a baseline sees the pixels."""
        inputs = jnp.zeros(self.dataset.train.shape[1])
        return LatentSpec(jnp.zeros(NUM_LABELS), (), inputs)

    def loss(
        self, params: Params, key: jax.Array, batch: jax.Array, step: jax.Array
    ) -> jax.Array:
        """The negative bound of a batch and of a labelled one.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key, split over the batch.
          batch: images without labels ``[batch, pixels]``.
          step: the training step, for schedules.

        Returns:
          A scalar, the mean over the batch.
        """
        key_free, key_rows, key_pixels, key_given = jax.random.split(key, 4)
        network, weights = self.network, params["model"]
        control_variate = params["control_variate"]["layer_0"]

        def free(key: jax.Array, x: jax.Array) -> jax.Array:
            key_class, key_vector = jax.random.split(key)
            estimate = self.config.estimator.build(
                lambda y, inputs: network.cost(weights, key_vector, y, x),
                control_variate,
                step,
            )
            q = network.classify(weights, x)
            return estimate(key_class, q, x) - q.entropy()

        def given(key: jax.Array, x: jax.Array, label: jax.Array) -> jax.Array:
            y = jax.nn.one_hot(label, NUM_LABELS)
            log_q = network.classify(weights, x).log_prob(y)
            return network.cost(weights, key, y, x) - self.settings.label_weight * log_q

        rows, labels = (jnp.asarray(part) for part in self.labelled)
        chosen = jax.random.randint(key_rows, (len(batch),), 0, len(rows))
        shown = self.pixels(key_pixels, rows[chosen])
        split = self.placement.split
        keys_free = split(jax.random.split(key_free, len(batch)))
        keys_given = split(jax.random.split(key_given, len(batch)))
        unlabelled = jax.vmap(free)(keys_free, split(batch))
        supervised = jax.vmap(given)(keys_given, split(shown), split(labels[chosen]))
        return unlabelled.mean() + supervised.mean()

    def bounds(
        self, state: TrainState, key: jax.Array, rows: jax.Array, num_samples: int
    ) -> Bounds:
        """Bounds of images without their labels; as in :class:`ImageTask`."""
        key_pixels, key_samples = jax.random.split(key)
        x, params = self.pixels(key_pixels, rows), state.params["model"]

        def one(key: jax.Array, x: jax.Array) -> Bounds:
            q = self.network.classify(params, x)

            def weight(key: jax.Array) -> jax.Array:
                key_class, key_vector = jax.random.split(key)
                y = q.sample(key_class)
                cost: jax.Array = self.network.cost(params, key_vector, y, x)
                return -cost - q.log_prob(y)

            weights = jax.vmap(weight)(jax.random.split(key, num_samples))
            bound = jax.nn.logsumexp(weights) - jnp.log(float(num_samples))
            return Bounds(weights.mean(), bound)

        keys = jax.random.split(key_samples, len(x))
        batch = max(1, 500 // num_samples)
        return jax.lax.map(lambda args: one(*args), (keys, x), batch_size=batch)

    def final_bounds(self, state: TrainState, parts: dict[str, Any]) -> Metrics:
        """As in :class:`ImageTask`, and the accuracy of the class on test images."""
        metrics = super().final_bounds(state, parts)
        labels = self.dataset.test_labels
        assert labels is not None
        size = len(parts["test"])
        key = stream(self.config.seed, Stream.FIGURES)
        x = self.pixels(key, jnp.asarray(parts["test"]))
        params = state.params["model"]

        def is_right(args: Any) -> jax.Array:
            x, label = args
            return jnp.argmax(self.network.classify(params, x).logits) == label

        # The same images, because the choice depends on nothing but the sizes.
        chosen = jnp.asarray(shuffled_subset(labels, size))
        right = jax.lax.map(is_right, (x, chosen), batch_size=500)
        accuracy = right.astype(jnp.float32).mean()
        error = jnp.sqrt(accuracy * (1.0 - accuracy) / size)
        return metrics | {"test_accuracy": accuracy, "test_accuracy_se": error}

    def pictures(self, state: TrainState) -> dict[str, Picture]:
        """Samples of every class.

        Args:
          state: after training.

        Returns:
          By file name.
        """
        _, key = jax.random.split(stream(self.config.seed, Stream.FIGURES))
        return draw(self.network, state.params["model"], key)


def make(config: Config, placement: Placement) -> SemiSupervisedTask:
    """The task with the configured data.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.

    Raises:
      UsageError: if the data cannot be used, or has no labels.
    """
    dataset = load_dataset(config.data)
    return SemiSupervisedTask(config, dataset, placement)
