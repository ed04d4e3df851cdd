"""Masks of images that are to be enough for a frozen classifier."""

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
from jaxdiscrete.experiments.tasks.attention.classifier import Examples
from jaxdiscrete.experiments.tasks.attention.evaluation import (
    evaluate,
    look,
    summarise,
)
from jaxdiscrete.experiments.tasks.attention.frozen import FrozenClassifiers
from jaxdiscrete.experiments.tasks.attention.network import (
    AttentionNetwork,
    as_pixels,
)
from jaxdiscrete.experiments.tasks.attention.pictures import draw
from jaxdiscrete.experiments.tasks.attention.settings import Classifier, Settings
from jaxdiscrete.experiments.training.dataset import DatasetTask, load_labelled
from jaxdiscrete.experiments.training.images import NUM_IMAGES, one_per_class
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.one_layer import OneLayer
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, gradient_log_variance
from jaxdiscrete.experiments.training.task import Metrics


class Data(NamedTuple):
    """Everything that a block reads, on the device."""

    train: jax.Array
    labels: jax.Array
    subset: jax.Array
    subset_labels: jax.Array
    predictor: Params


class Batch(NamedTuple):
    """The examples of a step, and the classifier that f closes over."""

    x: jax.Array
    labels: jax.Array
    predictor: Params


@dataclasses.dataclass(frozen=True, eq=False)
class AttentionTask(OneLayer, DatasetTask):
    """Masks of the settings, for images with labels.

    No choice is made on held-out images, so that all but the test images train.

    Args:
      classifiers: both of them, which copies of the task share.
    """

    classifiers: FrozenClassifiers = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        (rows, columns), (height, width) = self.settings.mask, self.image_shape
        if rows > height or columns > width or height % rows or width % columns:
            raise UsageError(
                f"Expected model.mask to divide the {height} x {width} pixels of "
                f"{self.title}, got {rows} x {columns}. Choose a height and a width "
                "that do."
            )
        available = len(self.dataset.train)
        for name in ("predictor", "evaluator"):
            settings: Classifier = getattr(self.settings, name)
            if settings.batch_size > available:
                raise UsageError(
                    f"Expected model.{name}.batch_size <= {available}, the size of "
                    f"the training set, got {settings.batch_size}. Lower it."
                )

    @property
    def settings(self) -> Settings:
        """The settings of the model."""
        return cast(Settings, self.config.model)

    @property
    def white(self) -> float:
        """The stored value that is a pixel of one."""
        return self.classifiers.examples.white

    def floats(self, rows: jax.Array) -> jax.Array:
        """Images from stored ones, from 0 to 1."""
        return as_pixels(rows, self.white)

    @functools.cached_property
    def network(self) -> AttentionNetwork:
        """The network that chooses, and what a classifier makes of it."""
        masks = self.classifiers.masks
        return dataclasses.replace(masks, settings=self.settings)

    def data(self) -> Data:
        """Training images with labels, a subset for evaluation, and the predictor.

        Raises:
          RunError: if a loss of the predictor's training is not finite.
        """
        count = self.config.evaluation.num_examples
        train, labels = map(np.asarray, self.classifiers.examples[:2])
        parts = (train, labels, *(shuffled_subset(a, count) for a in (train, labels)))
        weights = self.classifiers.predictor.weights
        return Data(*self.placement.replicate((*parts, weights)))

    @property
    def latents(self) -> LatentSpec:
        """A mask, of which a baseline sees the image and its label."""
        size, _ = self.settings.layer_size
        num_inputs = self.dataset.train.shape[1] + self.network.num_classes
        return LatentSpec(jnp.zeros(size), (size,), jnp.zeros(num_inputs))

    def batch(self, key: jax.Array, chosen: jax.Array, data: Data) -> Batch:
        """Images and labels of some rows.

        Args:
          key: not used.
          chosen: rows of the training set.
          data: as from :meth:`data`.

        Returns:
          The examples, and the predictor.
        """
        del key
        x = self.floats(data.train[chosen])
        return Batch(x, data.labels[chosen], data.predictor)

    def loss(
        self, params: Params, key: jax.Array, batch: Batch, step: jax.Array
    ) -> jax.Array:
        """The negative objective of a batch, whose gradient is the estimated one.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key, split over the batch.
          batch: as from :meth:`batch`.
          step: the training step, for schedules.

        Returns:
          A scalar, the mean over the batch, in nats.
        """
        network, control_variate = self.network, params["control_variate"]["layer_0"]

        def one(key: jax.Array, x: jax.Array, label: jax.Array) -> jax.Array:
            q = network.choose(params["model"], x)

            def f(z: jax.Array, inputs: jax.Array) -> jax.Array:
                del inputs
                shown = x * network.spread(z)
                return -network.log_prob(batch.predictor, shown, label)

            # A baseline may know what f knows of the example.
            inputs = jnp.concatenate([x, jax.nn.one_hot(label, network.num_classes)])
            estimate = self.config.estimator.build(f, control_variate, step)
            return estimate(key, q, inputs) + self.settings.penalty * q.mean().mean()

        split = self.placement.split
        keys = split(jax.random.split(key, len(batch.x)))
        return jax.vmap(one)(keys, split(batch.x), split(batch.labels)).mean()

    def metrics(self, state: TrainState, losses: jax.Array, data: Data) -> Metrics:
        """Hard masks of training images, and the gradient variance.

        Args:
          state: at the end of a block.
          losses: not used.
          data: as from :meth:`data`.

        Returns:
          Scalars.
        """
        del losses
        key = stream(self.config.seed, Stream.EVALUATION)
        seen = look(
            self.network,
            state.params["model"],
            data.predictor,
            jax.random.fold_in(key, state.step),
            self.floats(data.subset),
            data.subset_labels,
        )
        means = {
            "hard_objective": seen.objective.mean(),
            "share": seen.share.mean(),
            "accuracy": seen.is_right.mean(),
        }
        return means | self.log_variances(state)

    def log_variances(self, state: TrainState) -> Metrics:
        """The gradient's variance at a state, over fresh masks of the same images.

        Two estimators at the same parameters and step are measured with the same keys.

        Args:
          state: with the estimator's parameters.

        Returns:
          ``log_variance``, averaged over the parameters of the network that chooses.
        """
        key = jax.random.fold_in(stream(self.config.seed, Stream.VARIANCE), state.step)
        count = self.config.training.batch_size
        rows, labels = (
            jnp.asarray(shuffled_subset(part, count))
            for part in map(np.asarray, self.classifiers.examples[:2])
        )
        weights = jax.tree.map(jnp.asarray, self.classifiers.predictor.weights)
        batch = Batch(self.floats(rows), labels, weights)
        # That of the last step, whose value the schedules have.
        step = state.step - 1

        def gradient(key: jax.Array) -> Any:
            return jax.grad(self.loss)(state.params, key, batch, step)["model"]

        # One after the other: a batch of masks is large.
        keys = jax.random.split(key, self.settings.num_gradients)
        return {"log_variance": gradient_log_variance(jax.lax.map(gradient, keys))}

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The metrics of the results, on test images.

        Args:
          state: after training.
          rows: metrics of all blocks.

        Returns:
          Objectives in nats, shares, the scores of both classifiers, and their own
          training at its end and at an epoch of the first ten.
        """
        count = self.config.evaluation.num_test_examples
        assert self.dataset.test_labels is not None
        images = shuffled_subset(self.dataset.test, count)
        labels = shuffled_subset(self.dataset.test_labels, count)
        x = self.floats(jnp.asarray(images))
        tested = jax.jit(evaluate, static_argnums=(0, 7))(
            self.network,
            state.params["model"],
            self.classifiers.predictor.weights,
            self.classifiers.evaluator.weights,
            stream(self.config.seed, Stream.FINAL),
            x,
            jnp.asarray(labels),
            self.config.evaluation.num_samples,
        )
        final = {"objective": -rows[-1]["loss"]} | summarise(tested, labels)
        final["objective_gap"] = final["objective"] - final["test_objective"]
        for name in ("predictor", "evaluator"):
            final |= getattr(self.classifiers, name).history(name)
        final |= {m: rows[-1][m] for m in ("share", "accuracy", "log_variance")}
        return {key: float(value) for key, value in final.items()}

    def pictures(self, state: TrainState) -> dict[str, Picture]:
        """Masks of test images, one of each class.

        Args:
          state: after training.

        Returns:
          By file name.
        """
        labels = self.dataset.test_labels
        assert labels is not None
        chosen = self.dataset.test[one_per_class(labels, NUM_IMAGES)]
        x = self.floats(jnp.asarray(chosen))
        key = stream(self.config.seed, Stream.FIGURES)
        return draw(self.network, state.params["model"], key, x)


def make(config: Config, placement: Placement) -> AttentionTask:
    """The task with the configured data.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.

    Raises:
      UsageError: if the data cannot be used or have no labels, or a classifier cannot
        be read or kept.
    """
    dataset = load_labelled(config)
    train, valid = dataset.train_labels, dataset.valid_labels
    assert train is not None
    assert valid is not None
    rows = np.concatenate([dataset.train, dataset.valid])
    labels = np.concatenate([train, valid])
    dataset = dataset._replace(train=rows, train_labels=labels)
    settings = cast(Settings, config.model)
    masks = AttentionNetwork(settings, dataset.image_shape, int(labels.max()) + 1)
    # The stored value that is a pixel of one.
    white = 255.0 if dataset.is_grey else 1.0
    classifiers = FrozenClassifiers(masks, Examples(rows, labels, white), dataset.title)
    task = AttentionTask(config, dataset, placement, classifiers=classifiers)
    classifiers.check()
    return task
