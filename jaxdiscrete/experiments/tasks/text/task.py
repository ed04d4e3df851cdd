"""Generator and discriminator in one loss, whose gradients do not meet."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.language.corpus import draw
from jaxdiscrete.experiments.language.discriminator import Discriminator, cross_entropy
from jaxdiscrete.experiments.language.load import load_corpus
from jaxdiscrete.experiments.language.task import SentenceTask
from jaxdiscrete.experiments.tasks.text.episodes import Episodes
from jaxdiscrete.experiments.tasks.text.settings import Settings
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.one_layer import OneLayer
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState
from jaxdiscrete.experiments.training.task import Metrics, Params


@dataclasses.dataclass(frozen=True, eq=False)
class TextTask(OneLayer, SentenceTask):
    """One run by rewards; a batch is as many real sentences as are written."""

    @property
    def settings(self) -> Settings:
        """The settings of the model."""
        assert isinstance(self.config.model, Settings)
        return self.config.model

    @functools.cached_property
    def discriminator(self) -> Discriminator:
        """The network that tells real sentences from others."""
        return Discriminator(
            num_words=self.model.num_words,
            embedding=self.settings.discriminator_embedding,
            hidden=self.settings.discriminator_hidden,
            dropout=self.settings.discriminator_dropout,
        )

    @property
    def episodes(self) -> Episodes:
        """The writing of sentences."""
        return Episodes(self.config, self.model, self.discriminator)

    def init(self, key: jax.Array) -> Params:
        """Generator and discriminator.

        Args:
          key: PRNG key.

        Returns:
          ``{"generator", "discriminator"}``.
        """
        key_generator, key_discriminator = jax.random.split(key)
        return SentenceTask.init(self, key_generator) | {
            "discriminator": self.discriminator.init(key_discriminator)
        }

    @property
    def latents(self) -> LatentSpec:
        """A word, of which a baseline sees the states of both networks."""
        inputs = jnp.zeros(self.model.hidden + self.discriminator.hidden)
        return LatentSpec(jnp.zeros(self.model.num_words), (), inputs)

    def loss(
        self, params: Params, key: jax.Array, batch: jax.Array, step: jax.Array
    ) -> jax.Array:
        """The cost of the generator's sentences, and the discriminator's loss on them.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key, split over the batch.
          batch: real sentences ``[batch, num_steps]``.
          step: the training step, for schedules.

        Returns:
          A scalar.
        """
        key_write, key_made, key_real = jax.random.split(key, 3)
        split = self.placement.split
        rounds = len(batch) // self.config.estimator.hard_samples
        cost, made = jax.vmap(self.episodes.estimate, (None, None, 0, None))(
            params["model"],
            params["control_variate"]["layer_0"],
            split(jax.random.split(key_write, rounds)),
            step,
        )
        if self.settings.reward != "discriminator":
            return cost.mean()
        made = made.reshape(batch.shape)
        losses = self._cross_entropy(params, key_made, made, is_real=False)
        losses += self._cross_entropy(params, key_real, batch, is_real=True)
        return cost.mean() + losses

    def _cross_entropy(
        self, params: Params, key: jax.Array, sentences: jax.Array, *, is_real: bool
    ) -> jax.Array:
        keys = self.placement.split(jax.random.split(key, len(sentences)))
        sentences = self.placement.split(sentences)
        counts = self.model.counts(sentences)
        log_odds = jax.vmap(self.discriminator.log_odds, (None, 0, 0, 0))(
            params["model"]["discriminator"], keys, sentences, counts
        )
        loss: jax.Array = cross_entropy(log_odds, counts, is_real=is_real)
        return loss

    def metrics(self, state: TrainState, losses: jax.Array, data: Any) -> Metrics:
        """Those of :class:`SentenceTask`, and the discriminator's accuracy.

        Args:
          state: at the end of a block.
          losses: not used.
          data: not used.

        Returns:
          Scalars.
        """
        metrics = super().metrics(state, losses, data)
        if self.settings.reward != "discriminator":
            return metrics
        key = jax.random.fold_in(
            stream(self.config.seed, Stream.EVALUATION), state.step
        )
        model, num = state.params["model"], self.config.evaluation.num_examples
        real = jnp.asarray(self.corpus.valid[:num])
        made = draw(self.model, model["generator"], key, len(real))
        judge = dataclasses.replace(self.discriminator, dropout=0.0)

        def is_taken_for_real(sentence: jax.Array) -> jax.Array:
            counts = self.model.counts(sentence)
            return judge.log_odds(model["discriminator"], key, sentence, counts)[-1] > 0

        right = jax.vmap(is_taken_for_real)(real).mean()
        wrong = jax.vmap(is_taken_for_real)(made).mean()
        return metrics | {"discriminator_accuracy": 0.5 * (1.0 + right - wrong)}


def make(config: Config, placement: Placement) -> TextTask:
    """The task with the configured sentences.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.

    Raises:
      UsageError: if the data cannot be used.
    """
    assert isinstance(config.model, Settings)
    corpus = load_corpus(config.data.name, config.model)
    return TextTask(config, corpus, placement)
