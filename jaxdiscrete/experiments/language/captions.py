"""Real text, and n-grams that judge samples in both directions."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.language import ngrams
from jaxdiscrete.experiments.language.corpus import Metrics, OfText, draw, mean_nll
from jaxdiscrete.experiments.language.model import LanguageModel, Params


@dataclasses.dataclass(frozen=True, eq=False)
class TextCorpus(OfText):
    """A set of text.

    Samples are judged by n-grams of sentences that nothing was trained with, and these
    sentences by n-grams of the samples: who repeats a few good sentences does well in
    the first, who strays does badly in the first and well in the second.
    """

    def metrics(
        self, model: LanguageModel, params: Params, key: jax.Array, num: int
    ) -> Metrics:
        """The perplexity of validation sentences, and the length of samples.

        Args:
          model: that is judged.
          params: of the model.
          key: PRNG key.
          num: samples and sentences. Static.

        Returns:
          ``valid_perplexity`` and ``words``, scalars.
        """
        samples = draw(model, params, key, num)
        nll = mean_nll(model, params, self.valid[:num])
        words = jnp.mean(jnp.sum(samples != 0, axis=1).astype(jnp.float32))
        return {"valid_perplexity": jnp.exp(nll), "words": words}

    def final_metrics(
        self, model: LanguageModel, params: Params, key: jax.Array, num: int
    ) -> dict[str, float]:
        """Perplexities in both directions, and how many samples are new.

        Args:
          model: that is judged.
          params: of the model.
          key: PRNG key.
          num: samples.

        Returns:
          ``forward_perplexity`` of the samples, ``reverse_perplexity`` of the test
          sentences, ``test_perplexity`` of these under the model itself, the shares of
          samples that are ``distinct`` and ``novel``, and ``words`` per sample.
        """
        samples = np.asarray(draw(model, params, key, num))
        test = self.text.test
        of_samples = ngrams.count(samples, model.num_words)
        known = {row.tobytes() for row in self.train}
        different = {row.tobytes() for row in samples}
        return {
            "forward_perplexity": self._of_test.perplexity(samples),
            "reverse_perplexity": of_samples.perplexity(test),
            "test_perplexity": float(np.exp(mean_nll(model, params, test))),
            "distinct": len(different) / num,
            "novel": float(np.mean([row.tobytes() not in known for row in samples])),
            "words": float(np.mean(np.sum(samples != 0, axis=1))),
        }

    @functools.cached_property
    def _of_test(self) -> ngrams.NGrams:
        return ngrams.count(self.text.test, len(self.text.words))
