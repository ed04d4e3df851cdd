"""A language of which all sentences are known, so that nothing is estimated."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data.sets.agreement import all_sentences
from jaxdiscrete.experiments.data.text import encode
from jaxdiscrete.experiments.language.corpus import Metrics, OfText, log_probs
from jaxdiscrete.experiments.language.model import LanguageModel, Params


@dataclasses.dataclass(frozen=True, eq=False)
class FormalCorpus(OfText):
    """The language of agreement: sentences of it to learn from, all of it to judge."""

    def metrics(
        self, model: LanguageModel, params: Params, key: jax.Array, num: int
    ) -> Metrics:
        """The probabilities of all sentences of the language, without samples.

        Args:
          model: that is judged.
          params: of the model.
          key: not used.
          num: not used.

        Returns:
          The probability that a sample is a sentence of the language, and the
          divergence KL(language, model) in nats per sentence.
        """
        del key, num
        sentences, probabilities = self._language()
        log_q = log_probs(model, params, sentences).sum(1)
        return {
            "grammatical": jnp.exp(log_q).sum(),
            "divergence": jnp.sum(probabilities * (np.log(probabilities) - log_q)),
        }

    def final_metrics(
        self, model: LanguageModel, params: Params, key: jax.Array, num: int
    ) -> dict[str, float]:
        """Those of :meth:`metrics`."""
        found = self.metrics(model, params, key, num)
        return {name: float(value) for name, value in found.items()}

    def _language(self) -> tuple[np.ndarray, np.ndarray]:
        """All sentences and their probabilities."""
        language = all_sentences()
        rows = encode(list(language), self.text.words, self.text.train.shape[1])
        return rows, np.array(list(language.values()), np.float32)
