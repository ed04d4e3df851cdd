"""The training step, many of them in one compiled call, and the final evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import jaxdiscrete as jd
from jaxdiscrete.experiments.data import Digits
from jaxdiscrete.experiments.diagnostics import (
    VARIANCE_DECAY,
    TrainState,
    log_variance,
)
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators import Example, find_estimator
from jaxdiscrete.experiments.models import DiscreteVAE, evaluate
from jaxdiscrete.experiments.settings import Config

NUM_IMAGES = 10
NUM_SAMPLE_ROWS = 4


class Keys(NamedTuple):
    """Independent streams of one seed; a stream and a counter give a key."""

    init: jax.Array
    order: jax.Array
    step: jax.Array
    evaluation: jax.Array
    final: jax.Array
    figures: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """One training run as pure functions of its configuration.

    Args:
      config: a checked configuration.
      digits: the data.

    Raises:
      UsageError: if a batch is larger than the training set.
    """

    config: Config
    digits: Digits

    def __post_init__(self) -> None:
        batch, available = self.config.training.batch_size, len(self.digits.train)
        if batch > available:
            raise UsageError(
                f"Expected training.batch_size <= {available}, the size of the "
                f"training set, got {batch}. Lower it."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the training set."""
        return len(self.digits.train) // self.config.training.batch_size

    @property
    def model(self) -> DiscreteVAE:
        """The autoencoder, centred at the training mean."""
        return DiscreteVAE(self.config.model, self.digits.train.mean(axis=0))

    @property
    def keys(self) -> Keys:
        """The streams of the configured seed."""
        root = jax.random.key(self.config.seed)
        return Keys(*(jax.random.fold_in(root, i) for i in range(len(Keys._fields))))

    def init(self) -> TrainState:
        """The state before the first step; the model's part ignores the estimator."""
        model_key, control_variate_key = jax.random.split(self.keys.init)
        settings = self.config.estimator
        z = jnp.zeros(self.config.model.num_latents)
        example = Example(z, jnp.zeros(self.digits.train.shape[1]))
        model = self.model.init(model_key)
        params = {
            "model": model,
            "control_variate": find_estimator(settings.name).init(
                control_variate_key, settings, example
            ),
        }
        zeros = jax.tree.map(jnp.zeros_like, model["encoder"])
        return TrainState(
            jnp.zeros((), jnp.int32),
            params,
            self._optimizer().init(params),
            zeros,
            zeros,
        )

    def loss(
        self, params: Any, key: jax.Array, x: jax.Array, step: jax.Array
    ) -> jax.Array:
        """The negative ELBO of a batch, whose gradient is the estimated one.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key, split over the batch.
          x: images ``[batch, pixels]``.
          step: the training step, for schedules.

        Returns:
          A scalar, the mean of estimate plus divergence.
        """
        model, settings = self.model, self.config.estimator
        estimate = find_estimator(settings.name).build(
            lambda z, x: model.reconstruction_cost(params["model"], z, x),
            params["control_variate"],
            settings,
            step,
        )

        def one(key: jax.Array, logits: jax.Array, x: jax.Array) -> jax.Array:
            kl = model.kl_divergence(params["model"], logits)
            return estimate(key, jd.Bernoulli(logits), x) + kl

        logits = model.posterior_logits(params["model"], x)
        return jax.vmap(one)(jax.random.split(key, len(x)), logits, x).mean()

    def step(
        self, state: TrainState, x: jax.Array
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """One gradient step on a batch.

        Args:
          state: before the step.
          x: images ``[batch, pixels]``.

        Returns:
          The state after it, and scalars that must be finite.
        """
        key = jax.random.fold_in(self.keys.step, state.step)
        loss, grads = jax.value_and_grad(self.loss)(state.params, key, x, state.step)
        # Optax raises floats to integer counts, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = self._optimizer().update(
                grads, state.opt_state, state.params
            )
        encoder = grads["model"]["encoder"]
        checked = {
            "loss": loss,
            "model gradient": optax.tree.norm(grads["model"]),
            "control variate gradient": optax.tree.norm(grads["control_variate"]),
        }
        new_state = TrainState(
            state.step + 1,
            optax.apply_updates(state.params, updates),
            opt_state,
            optax.incremental_update(encoder, state.gradient_mean, 1 - VARIANCE_DECAY),
            optax.incremental_update(
                jax.tree.map(jnp.square, encoder),
                state.gradient_square,
                1 - VARIANCE_DECAY,
            ),
        )
        return new_state, checked

    def block(
        self, state: TrainState, train: jax.Array, test: jax.Array
    ) -> tuple[TrainState, dict[str, jax.Array], dict[str, jax.Array]]:
        """Several epochs and an evaluation with hard samples.

        Args:
          state: at the start of an epoch.
          train: the training images.
          test: the test images.

        Returns:
          The state after the block, what must be finite at every step, and the
          metrics at its end.
        """
        per_epoch, batch = self.steps_per_epoch, self.config.training.batch_size

        def epoch(
            state: TrainState, _: None
        ) -> tuple[TrainState, dict[str, jax.Array]]:
            key = jax.random.fold_in(self.keys.order, state.step // per_epoch)
            order = jax.random.permutation(key, len(train))[: per_epoch * batch]
            return jax.lax.scan(
                lambda state, rows: self.step(state, train[rows]),
                state,
                order.reshape(per_epoch, batch),
            )

        epochs = self.config.training.epochs_per_block
        state, checked = jax.lax.scan(epoch, state, None, length=epochs)
        key = jax.random.fold_in(self.keys.evaluation, state.step)
        metrics = self._evaluate(state, key, train, test, 1)
        del metrics["test_bound"]
        return state, jax.tree.map(jnp.ravel, checked), metrics

    def final_metrics(
        self, state: TrainState, train: jax.Array, test: jax.Array
    ) -> dict[str, jax.Array]:
        """The metrics of the results table, averaged over many samples.

        Args:
          state: after training.
          train: the training images.
          test: the test images.

        Returns:
          ELBOs, the importance-weighted test bound, the log variance.
        """
        num_samples = self.config.training.num_importance_samples
        return self._evaluate(state, self.keys.final, train, test, num_samples)

    def images(self, state: TrainState) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What the model sees and makes.

        Args:
          state: after training.

        Returns:
          Test images ``[images, pixels]``, pixel probabilities at a posterior
          sample of each, and ``[rows, images, pixels]`` those at prior samples.
        """
        model, params = self.model, state.params["model"]
        prior_key, posterior_key = jax.random.split(self.keys.figures)
        x = jnp.asarray(self.digits.test[:NUM_IMAGES])
        q = jd.Bernoulli(model.posterior_logits(params, x))
        decoded = jax.nn.sigmoid(model.pixel_logits(params, q.sample(posterior_key)))
        shape = (NUM_SAMPLE_ROWS, NUM_IMAGES, self.config.model.num_latents)
        prior = jd.Bernoulli(jnp.broadcast_to(params["prior"], shape))
        samples = jax.nn.sigmoid(model.pixel_logits(params, prior.sample(prior_key)))
        return x, decoded, samples

    def compile_block(self, state: TrainState) -> Callable[..., Any]:
        """Compiles :meth:`block` ahead of its first call.

        Args:
          state: any state of this run.

        Returns:
          The compiled function of a state, training and test images.
        """
        return jax.jit(self.block).lower(state, *self.digits).compile()

    def _evaluate(
        self,
        state: TrainState,
        key: jax.Array,
        train: jax.Array,
        test: jax.Array,
        num_samples: int,
    ) -> dict[str, jax.Array]:
        # Together, because two calls would take twice as long to compile.
        both = jnp.concatenate([train, test])
        elbo, bound = evaluate(
            self.model, state.params["model"], key, both, num_samples
        )
        return {
            "train_elbo": elbo[: len(train)].mean(),
            "test_elbo": elbo[len(train) :].mean(),
            "test_bound": bound[len(train) :].mean(),
            "log_variance": log_variance(state),
        }

    def _optimizer(self) -> optax.GradientTransformation:
        rates = self.config.optimizer
        averages = find_estimator(self.config.estimator.name).moving_averages

        def labels(params: Any) -> Any:
            return {
                "model": "model",
                "control_variate": {
                    k: "moving_average" if k in averages else "control_variate"
                    for k in params["control_variate"]
                },
            }

        return optax.multi_transform(
            {
                "model": optax.adam(rates.learning_rate),
                "control_variate": optax.adam(rates.control_variate_learning_rate),
                "moving_average": optax.sgd(rates.moving_average_rate),
            },
            labels,
        )
