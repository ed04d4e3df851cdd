"""The training step, many of them in one compiled call, and the evaluations."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdiscrete.experiments import objective
from jaxdiscrete.experiments.data import Dataset, shuffled_subset
from jaxdiscrete.experiments.diagnostics import (
    Moments,
    TrainState,
    init_moments,
    log_variance,
    update_moments,
)
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators import Entry, Estimation, find_estimator
from jaxdiscrete.experiments.evaluation import Bounds, evaluate
from jaxdiscrete.experiments.models import hardened, make_model
from jaxdiscrete.experiments.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.schedules import make_optimizer
from jaxdiscrete.experiments.settings import Config

Params = Any
#: Of the latents, where they are enumerated at every step.
MAX_STATES = 4096


class Keys(NamedTuple):
    """Independent streams of one seed; a stream and a counter give a key."""

    init: jax.Array
    order: jax.Array
    pixels: jax.Array
    step: jax.Array
    evaluation: jax.Array
    final: jax.Array
    figures: jax.Array


class Images(NamedTuple):
    """What training and evaluation after a block read, on the device."""

    train: jax.Array
    train_subset: jax.Array
    valid_subset: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """One training run as pure functions of its configuration.

    The configuration's numbers may be traced, so that a sweep can map over them.

    Args:
      config: a checked configuration.
      dataset: the data.
      placement: on which devices. Default: one.

    Raises:
      UsageError: if a batch is larger than the training set or does not split over
        the devices, or if the estimator cannot train the model's objective or
        does not take its latents.
    """

    config: Config
    dataset: Dataset
    placement: Placement = ONE_DEVICE

    def __post_init__(self) -> None:
        batch, available = self.config.training.batch_size, len(self.dataset.train)
        if batch > available:
            raise UsageError(
                f"Expected training.batch_size <= {available}, the size of the "
                f"training set, got {batch}. Lower it."
            )
        if batch % self.placement.num_devices:
            raise UsageError(
                "Expected training.batch_size to be a multiple of the "
                f"{self.placement.num_devices} devices of the mesh, got {batch}. "
                "Change one of them."
            )
        name, model = self.config.estimator.name, self.config.model
        if model.num_samples > 1 and not self.entry.is_pathwise:
            raise UsageError(
                "Expected model.num_samples = 1 with an estimator that is not "
                f"pathwise, got {model.num_samples} with {name}. Set it to 1, or "
                "choose gumbel_softmax."
            )
        wants_two = self.entry.is_binary and model.num_classes != 2
        wants_more = self.entry.is_categorical and model.num_classes == 2
        if wants_two or wants_more:
            wanted = "= 2" if wants_two else "> 2"
            raise UsageError(
                f"Expected model.num_classes {wanted} with {name}, an estimator for "
                f"{'binary' if wants_two else 'categorical'} variables, got "
                f"{model.num_classes}. Change it, or choose reinforce_loo."
            )
        states = model.num_classes ** sum(model.num_latents)
        if name == "exact" and model.task != "semi_supervised" and states > MAX_STATES:
            raise UsageError(
                f"Expected at most {MAX_STATES} joint states of the latents with the "
                f"exact estimator, got {states}. Lower model.num_latents, or choose "
                "another estimator."
            )
        is_left_out = model.divergence == "analytic" and model.task == "generative"
        if model.num_samples > 1 and is_left_out:
            raise UsageError(
                "Expected model.divergence = 'sampled' or 'concrete' with "
                f"model.num_samples > 1, got 'analytic' with {model.num_samples}: a "
                "bound of several samples has no closed form. Choose one of them."
            )
        if model.divergence == "concrete" and name != "gumbel_softmax":
            raise UsageError(
                "Expected estimator.name = 'gumbel_softmax' with model.divergence = "
                f"'concrete', a density of relaxed samples, got {name!r}. Choose "
                "another divergence."
            )

    @property
    def entry(self) -> Entry:
        """What is known of the configured estimator."""
        return find_estimator(self.config.estimator.name)

    def estimation(self, step: jax.Array) -> Estimation:
        """The configured estimator at a training step.

        Args:
          step: for schedules.

        Returns:
          What builds it.
        """
        return Estimation(self.entry, self.config.estimator, step)

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the training set."""
        return len(self.dataset.train) // self.config.training.batch_size

    @functools.cached_property
    def pixel_mean(self) -> np.ndarray:
        """The mean of the training images, one entry a pixel."""
        mean = self.dataset.train.mean(axis=0, dtype=np.float64)
        mean /= 255.0 if self.dataset.is_grey else 1.0
        return mean.astype(np.float32)

    @functools.cached_property
    def model(self) -> Any:
        """The model, centred at the training mean."""
        return make_model(self.config.model, self.pixel_mean)

    @property
    def keys(self) -> Keys:
        """The streams of the configured seed."""
        root = jax.random.key(self.config.seed)
        return Keys(*(jax.random.fold_in(root, i) for i in range(len(Keys._fields))))

    def images(self) -> Images:
        """The training set and the subsets for evaluation.

        Returns:
          Arrays of uint8.
        """
        count = self.config.evaluation.num_examples
        train, valid = self.dataset.train, self.dataset.valid
        parts = (train, shuffled_subset(train, count), shuffled_subset(valid, count))
        return Images(*self.placement.replicate(parts))

    def init(self) -> TrainState:
        """The state before the first step; the model's part ignores the estimator."""
        model_key, control_variate_key = jax.random.split(self.keys.init)
        params = {"model": self.model.init(model_key)}
        params["control_variate"] = self.init_control_variates(
            params["model"], control_variate_key
        )
        return TrainState(
            jnp.zeros((), jnp.int32),
            params,
            self.optimizer.init(params),
            init_moments(params["model"]),
        )

    def init_control_variates(self, model_params: Params, key: jax.Array) -> Params:
        """Initial parameters of the estimator.

        Args:
          model_params: of the model, for shapes.
          key: PRNG key.

        Returns:
          By layer.
        """
        return objective.init_control_variates(
            self.model, model_params, self.entry, self.config.estimator, key
        )

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Of the model and of the control variates."""
        return make_optimizer(self.config.optimizer, self.entry.moving_averages)

    def pixels(self, key: jax.Array, rows: jax.Array) -> jax.Array:
        """Binary images from stored ones.

        Args:
          key: PRNG key for grey images, which are binarised at random.
          rows: uint8 ``[batch, pixels]``.

        Returns:
          float32 of the same shape.
        """
        if not self.dataset.is_grey:
            return rows.astype(jnp.float32)
        # In integers: noise / 2^16 < intensity / 255, with half the random bits of a
        # float32 uniform, always one at 255 and never at 0.
        noise = jax.random.bits(key, rows.shape, jnp.uint16).astype(jnp.uint32)
        is_on = noise * 255 < rows.astype(jnp.uint32) << 16
        return is_on.astype(jnp.float32)

    def loss(
        self, params: Params, key: jax.Array, x: jax.Array, step: jax.Array
    ) -> jax.Array:
        """The negative bound of a batch, whose gradient is the estimated one.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key, split over the batch.
          x: images ``[batch, pixels]``.
          step: the training step, for schedules.

        Returns:
          A scalar, the mean over the batch.
        """
        model, weights = self.model, params["model"]
        cv, estimation = params["control_variate"], self.estimation(step)
        num_samples = self.config.model.num_samples

        def one(key: jax.Array, x: jax.Array) -> jax.Array:
            if num_samples > 1:
                return objective.importance_loss(
                    model, weights, estimation, num_samples, key, x
                )
            return objective.loss(model, weights, cv, estimation, key, x)

        keys = self.placement.split(jax.random.split(key, len(x)))
        return jax.vmap(one)(keys, self.placement.split(x)).mean()

    def step(
        self, state: TrainState, rows: jax.Array
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """One gradient step on a batch.

        Args:
          state: before the step.
          rows: stored images ``[batch, pixels]``.

        Returns:
          The state after it, and scalars that must be finite.
        """
        x = self.pixels(jax.random.fold_in(self.keys.pixels, state.step), rows)
        key = jax.random.fold_in(self.keys.step, state.step)
        loss, grads = jax.value_and_grad(self.loss)(state.params, key, x, state.step)
        # Optax raises floats to integer counts, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = self.optimizer.update(
                grads, state.opt_state, state.params
            )
        checked = {
            "loss": loss,
            "model gradient": optax.tree.norm(grads["model"]),
            "control variate gradient": optax.tree.norm(grads["control_variate"]),
        }
        new_state = TrainState(
            state.step + 1,
            optax.apply_updates(state.params, updates),
            opt_state,
            update_moments(state.moments, grads["model"]),
        )
        return new_state, checked

    def batches(self, first_step: jax.Array, train: jax.Array) -> jax.Array:
        """The rows of every step of a block; each epoch has an order of its own.

        Args:
          first_step: of the block.
          train: the training images.

        Returns:
          Indices ``[steps, batch]``.
        """
        per_epoch, training = self.steps_per_epoch, self.config.training
        steps, batch = training.steps_per_block, training.batch_size
        first_epoch = first_step // per_epoch
        num_epochs = (steps + per_epoch - 2) // per_epoch + 1

        def order(epoch: jax.Array) -> jax.Array:
            key = jax.random.fold_in(self.keys.order, epoch)
            return jax.random.permutation(key, len(train))[: per_epoch * batch]

        orders = jax.lax.map(order, first_epoch + jnp.arange(num_epochs))
        rows = orders.reshape(num_epochs * per_epoch, batch)
        return jax.lax.dynamic_slice_in_dim(rows, first_step % per_epoch, steps)

    def block(
        self, state: TrainState, images: Images
    ) -> tuple[TrainState, dict[str, jax.Array], dict[str, jax.Array]]:
        """Many steps and an evaluation with hard samples.

        Args:
          state: before the block.
          images: as from :meth:`images`.

        Returns:
          The state after the block, what must be finite at every step, and the
          metrics at its end.
        """
        state, checked = jax.lax.scan(
            lambda state, rows: self.step(state, images.train[rows]),
            state,
            self.batches(state.step, images.train),
        )
        key = jax.random.fold_in(self.keys.evaluation, state.step)
        key_train, key_valid = jax.random.split(key)
        metrics = {
            "train_elbo": self.bounds(state, key_train, images.train_subset, 1).elbo,
            "valid_elbo": self.bounds(state, key_valid, images.valid_subset, 1).elbo,
        }
        metrics = {name: values.mean() for name, values in metrics.items()}
        return state, checked, metrics | self.log_variances(state)

    def log_variances(self, state: TrainState) -> dict[str, jax.Array]:
        """Logarithms of the gradient variance, of all parameters and of the encoder.

        Args:
          state: after at least one step.

        Returns:
          Scalars.
        """
        mean, square = state.moments
        encoder = Moments(mean["encoder"], square["encoder"])
        return {
            "log_variance": log_variance(state.moments, state.step),
            "encoder_log_variance": log_variance(encoder, state.step),
        }

    def bounds(
        self, state: TrainState, key: jax.Array, rows: jax.Array, num_samples: int
    ) -> Bounds:
        """Bounds on the log-likelihood of stored images, with hard samples.

        Args:
          state: of the run.
          key: PRNG key.
          rows: uint8 ``[images, pixels]``.
          num_samples: samples an image. Static.

        Returns:
          An entry an image, in nats.
        """
        key_pixels, key_samples = jax.random.split(key)
        x = self.pixels(key_pixels, rows)
        model = hardened(self.model)
        return evaluate(model, state.params["model"], key_samples, x, num_samples)

    def final_metrics(self, state: TrainState, dataset: Any) -> dict[str, jax.Array]:
        """The metrics of the results table, averaged over many samples.

        Args:
          state: after training.
          dataset: images ``{"train", "valid", "test"}``.

        Returns:
          Bounds with standard errors over examples, and log variances.
        """
        metrics = {}
        keys = jax.random.split(self.keys.final, len(dataset))
        for key, (name, rows) in zip(keys, dataset.items(), strict=True):
            num_samples = self.config.evaluation.num_samples
            bounds = self.bounds(state, key, rows, num_samples)
            for bound, values in bounds._asdict().items():
                metrics[f"{name}_{bound}"] = values.mean()
                error = values.std(ddof=1) / np.sqrt(len(values))
                metrics[f"{name}_{bound}_se"] = error
        return metrics | self.log_variances(state)

    def compile_block(self, state: TrainState, images: Images) -> Callable[..., Any]:
        """Compiles :meth:`block` ahead of its first call.

        Args:
          state: any state of this run.
          images: as from :meth:`images`.

        Returns:
          The compiled function.
        """
        block = self.placement.jit(self.block, donate_argnums=0)
        return block.lower(state, images).compile()
