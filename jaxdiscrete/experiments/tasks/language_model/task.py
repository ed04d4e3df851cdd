"""The likelihood of sentences as a loss."""

from __future__ import annotations

import dataclasses

import jax

from jaxdiscrete.experiments.language.load import load_corpus
from jaxdiscrete.experiments.language.task import SentenceTask
from jaxdiscrete.experiments.tasks.language_model.settings import Settings
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.task import Params


@dataclasses.dataclass(frozen=True, eq=False)
class LanguageModelTask(SentenceTask):
    """One run by likelihood."""

    def loss(
        self, params: Params, key: jax.Array, batch: jax.Array, step: jax.Array
    ) -> jax.Array:
        """Nats per word of a batch.

        Args:
          params: ``{"model", "control_variate"}``.
          key: not used.
          batch: sentences ``[batch, num_steps]``.
          step: not used.

        Returns:
          A scalar.
        """
        del key, step
        sentences = self.placement.split(batch)
        generator = params["model"]["generator"]
        log_prob = jax.vmap(self.model.log_prob, (None, 0))(generator, sentences)
        return -log_prob.mean(where=self.model.counts(sentences))


def make(config: Config, placement: Placement) -> LanguageModelTask:
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
    return LanguageModelTask(config, corpus, placement)
