"""Tasks whose model has layers of latents, trained by the layers' costs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.data.dataset import shuffled_subset
from jaxdiscrete.experiments.data.load import load_dataset
from jaxdiscrete.experiments.estimators.base import EstimatorAtStep
from jaxdiscrete.experiments.layered import objective
from jaxdiscrete.experiments.layered.bounds import importance_loss
from jaxdiscrete.experiments.layered.evaluation import evaluate
from jaxdiscrete.experiments.layered.settings import LayeredSettings
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.training.images import NUM_IMAGES, Bounds, ImageTask
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState
from jaxdiscrete.experiments.training.task import Params

#: From a network, its parameters, a key and images to pictures by file name.
Draw = Callable[[Any, Params, jax.Array, jax.Array], dict[str, Picture]]


@dataclasses.dataclass(frozen=True, eq=False)
class LayeredTask(ImageTask):
    """A model with layers of latents, trained by the layers' costs.

    Args:
      network_class: from settings and pixel mean to the network.
      draw: its pictures.
    """

    network_class: Callable[..., Any] = dataclasses.field(kw_only=True)
    draw: Draw = dataclasses.field(kw_only=True)

    @classmethod
    def load(
        cls,
        config: Config,
        placement: Placement,
        network_class: Callable[..., Any],
        draw: Draw,
    ) -> LayeredTask:
        """The task with the configured data.

        Args:
          config: a checked configuration.
          placement: on which devices.
          network_class: from settings and pixel mean to the network.
          draw: its pictures.

        Returns:
          The task.

        Raises:
          UsageError: if the data cannot be used.
        """
        dataset = load_dataset(config.data)
        return cls(config, dataset, placement, network_class=network_class, draw=draw)

    @functools.cached_property
    def network(self) -> Any:
        """The network, centred at the training mean."""
        return self.network_class(self.config.model, self.pixel_mean)

    def init(self, key: jax.Array) -> Params:
        """Initial parameters of the network.

        Args:
          key: PRNG key.

        Returns:
          The parameters.
        """
        params: Params = self.network.init(key)
        return params

    def init_control_variates(self, params: Params, key: jax.Array) -> Params:
        """Initial parameters of the estimator.

        Args:
          params: of the network, for shapes.
          key: PRNG key.

        Returns:
          By layer.
        """
        return objective.init_control_variates(
            self.network, params, self.config.estimator, key
        )

    def loss(
        self, params: Params, key: jax.Array, batch: jax.Array, step: jax.Array
    ) -> jax.Array:
        """The negative bound of a batch, whose gradient is the estimated one.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key, split over the batch.
          batch: images ``[batch, pixels]``.
          step: the training step, for schedules.

        Returns:
          A scalar, the mean over the batch.
        """
        weights, control_variates = params["model"], params["control_variate"]
        num_samples = cast(LayeredSettings, self.config.model).num_samples
        estimator = EstimatorAtStep(self.config.estimator, step)

        def one(key: jax.Array, x: jax.Array) -> jax.Array:
            if num_samples > 1:
                return importance_loss(
                    self.network, weights, estimator, num_samples, key, x
                )
            return objective.loss(
                self.network, weights, control_variates, estimator, key, x
            )

        keys = self.placement.split(jax.random.split(key, len(batch)))
        return jax.vmap(one)(keys, self.placement.split(batch)).mean()

    def bounds(
        self, state: TrainState, key: jax.Array, rows: jax.Array, num_samples: int
    ) -> Bounds:
        """Bounds of stored images; as in :class:`ImageTask`."""
        key_pixels, key_samples = jax.random.split(key)
        x = self.pixels(key_pixels, rows)
        hard = self.network.hardened()
        return evaluate(hard, state.params["model"], key_samples, x, num_samples)

    def pictures(self, state: TrainState) -> dict[str, Picture]:
        """What the network makes of test images, and by itself.

        Args:
          state: after training.

        Returns:
          By file name.
        """
        key_pixels, key = jax.random.split(stream(self.config.seed, Stream.FIGURES))
        rows = jnp.asarray(shuffled_subset(self.dataset.test, NUM_IMAGES))
        x = self.pixels(key_pixels, rows)
        return self.draw(self.network, state.params["model"], key, x)
