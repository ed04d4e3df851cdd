"""Training with a few labels: the class is a sample where no label is given."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data import shuffled_subset
from jaxdiscrete.experiments.diagnostics import TrainState
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators import Example
from jaxdiscrete.experiments.evaluation import Bounds
from jaxdiscrete.experiments.models.semi_supervised import (
    NUM_LABELS,
    SemiSupervisedNetwork,
)
from jaxdiscrete.experiments.training import Experiment, Params


@dataclasses.dataclass(frozen=True, eq=False)
class SemiSupervisedExperiment(Experiment):
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
        each, rest = divmod(self.config.model.num_labelled, NUM_LABELS)
        if rest or not each:
            raise UsageError(
                f"Expected model.num_labelled to be a multiple of {NUM_LABELS}, the "
                f"same number of every class, got {self.config.model.num_labelled}. "
                "Change it."
            )

    @functools.cached_property
    def model(self) -> SemiSupervisedNetwork:
        """The model, centred at the training mean."""
        return SemiSupervisedNetwork(
            self.config.model, self.pixel_mean, self.dataset.image_shape
        )

    @functools.cached_property
    def labelled(self) -> tuple[np.ndarray, np.ndarray]:
        """Labelled images and their labels, the same ones for every seed."""
        labels = self.dataset.train_labels
        assert labels is not None
        each = self.config.model.num_labelled // NUM_LABELS
        chosen = [
            shuffled_subset(np.flatnonzero(labels == c), each)
            for c in range(NUM_LABELS)
        ]
        rows = np.concatenate(chosen)
        return self.dataset.train[rows], labels[rows]

    def init_control_variates(self, model_params: Params, key: jax.Array) -> Params:
        """Initial parameters of the estimator; as in :class:`Experiment`."""
        del model_params
        inputs = jnp.zeros(self.dataset.train.shape[1])
        example = Example(jnp.zeros(NUM_LABELS), (), inputs)
        return {"layer_0": self.entry.init(key, self.config.estimator, example)}

    def loss(
        self, params: Params, key: jax.Array, x: jax.Array, step: jax.Array
    ) -> jax.Array:
        """The negative bound of a batch and of a labelled one; see the base class."""
        key_free, key_rows, key_pixels, key_given = jax.random.split(key, 4)
        model, weights = self.model, params["model"]
        estimation = self.estimation(step)

        def free(key: jax.Array, x: jax.Array) -> jax.Array:
            key_class, key_vector = jax.random.split(key)
            estimate = estimation.build(
                lambda y, inputs: model.cost(weights, key_vector, y, x),
                params["control_variate"]["layer_0"],
            )
            q = model.classify(weights, x)
            return estimate(key_class, q, x) - q.entropy()

        def given(key: jax.Array, x: jax.Array, label: jax.Array) -> jax.Array:
            y = jax.nn.one_hot(label, NUM_LABELS)
            log_q = model.classify(weights, x).log_prob(y)
            alpha = self.config.model.label_weight
            return model.cost(weights, key, y, x) - alpha * log_q

        rows, labels = (jnp.asarray(part) for part in self.labelled)
        chosen = jax.random.randint(key_rows, (len(x),), 0, len(rows))
        shown = self.pixels(key_pixels, rows[chosen])
        split = self.placement.split
        keys_free = split(jax.random.split(key_free, len(x)))
        keys_given = split(jax.random.split(key_given, len(x)))
        unlabelled = jax.vmap(free)(keys_free, split(x))
        supervised = jax.vmap(given)(keys_given, split(shown), split(labels[chosen]))
        return unlabelled.mean() + supervised.mean()

    def bounds(
        self, state: TrainState, key: jax.Array, rows: jax.Array, num_samples: int
    ) -> Bounds:
        """Bounds of images without their labels; as in :class:`Experiment`."""
        key_pixels, key_samples = jax.random.split(key)
        x, params = self.pixels(key_pixels, rows), state.params["model"]

        def one(key: jax.Array, x: jax.Array) -> Bounds:
            q = self.model.classify(params, x)

            def weight(key: jax.Array) -> jax.Array:
                key_class, key_vector = jax.random.split(key)
                y = q.sample(key_class)
                return -self.model.cost(params, key_vector, y, x) - q.log_prob(y)

            weights = jax.vmap(weight)(jax.random.split(key, num_samples))
            bound = jax.nn.logsumexp(weights) - jnp.log(float(num_samples))
            return Bounds(weights.mean(), bound)

        keys = jax.random.split(key_samples, len(x))
        batch = max(1, 500 // num_samples)
        return jax.lax.map(lambda args: one(*args), (keys, x), batch_size=batch)

    def final_metrics(self, state: TrainState, dataset: Any) -> dict[str, jax.Array]:
        """As in :class:`Experiment`, and the accuracy of the class on test images."""
        metrics = super().final_metrics(state, dataset)
        labels = self.dataset.test_labels
        assert labels is not None
        size = len(dataset["test"])
        x = self.pixels(self.keys.figures, jnp.asarray(dataset["test"]))
        params = state.params["model"]

        def is_right(args: Any) -> jax.Array:
            x, label = args
            return jnp.argmax(self.model.classify(params, x).logits) == label

        # The same images, because the choice depends on nothing but the sizes.
        chosen = jnp.asarray(shuffled_subset(labels, size))
        right = jax.lax.map(is_right, (x, chosen), batch_size=500)
        accuracy = right.astype(jnp.float32).mean()
        error = jnp.sqrt(accuracy * (1.0 - accuracy) / size)
        return metrics | {"test_accuracy": accuracy, "test_accuracy_se": error}


def make_experiment(*args: Any, **options: Any) -> Experiment:
    """The experiment of a configuration's task.

    Args:
      args: of :class:`Experiment`, the configuration first.
      options: of :class:`Experiment`.

    Returns:
      The experiment.
    """
    kinds = {"semi_supervised": SemiSupervisedExperiment}
    return kinds.get(args[0].model.task, Experiment)(*args, **options)
