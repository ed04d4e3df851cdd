"""Sentences to learn from, and many sentences of a model at once."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data.text import Text
from jaxdiscrete.experiments.language.model import LanguageModel, Params

Metrics = dict[str, Any]

#: Logits that are alive at once.
_CHUNK = 20_000_000


class Corpus(Protocol):
    """Sentences, int32 ``[n, time]``, and what tells how good samples are."""

    @property
    def title(self) -> str:
        """The name in reports."""
        ...

    @property
    def train(self) -> np.ndarray:
        """Sentences to learn from."""
        ...

    @property
    def valid(self) -> np.ndarray:
        """Sentences that are kept from training."""
        ...

    @property
    def ends(self) -> bool:
        """True where word 0 ends a sentence."""
        ...

    def metrics(
        self, model: LanguageModel, params: Params, key: jax.Array, num: int
    ) -> Metrics:
        """Scalars after a block of training, from ``num`` sentences; traced."""
        ...

    def final_metrics(
        self, model: LanguageModel, params: Params, key: jax.Array, num: int
    ) -> dict[str, float]:
        """The numbers of the results, from ``num`` sentences, on the host."""
        ...

    def show(self, sentence: np.ndarray) -> str:
        """A sentence in words."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class OfText:
    """The sentences of a corpus that come from a set of text.

    Args:
      text: the set.
    """

    text: Text

    ends = True

    @property
    def title(self) -> str:
        """The set."""
        return self.text.title

    @property
    def train(self) -> np.ndarray:
        """Sentences to learn from."""
        return self.text.train

    @property
    def valid(self) -> np.ndarray:
        """Sentences that are kept from training."""
        return self.text.valid

    def show(self, sentence: np.ndarray) -> str:
        """A sentence in words."""
        return self.text.sentence(sentence)


def draw(model: LanguageModel, params: Params, key: jax.Array, num: int) -> jax.Array:
    """Many sentences, in bounded memory.

    Args:
      model: of them.
      params: of the model.
      key: PRNG key.
      num: how many. Static.

    Returns:
      int32 ``[num, num_steps]``.
    """
    return _draw(model, params, jax.random.split(key, num))


def log_probs(model: LanguageModel, params: Params, sentences: Any) -> jax.Array:
    """Log-probabilities of the words of many sentences, in bounded memory.

    Args:
      model: of the probabilities.
      params: of the model.
      sentences: int32 ``[n, num_steps]``.

    Returns:
      ``[n, num_steps]``, zero where a word does not count.
    """
    return _log_probs(model, params, jnp.asarray(sentences))


def mean_nll(model: LanguageModel, params: Params, sentences: Any) -> jax.Array:
    """Nats per word that counts.

    Args:
      model: of the probabilities.
      params: of the model.
      sentences: int32 ``[n, num_steps]``.

    Returns:
      A scalar.
    """
    return -log_probs(model, params, sentences).mean(where=model.counts(sentences))


@functools.partial(jax.jit, static_argnums=0)
def _draw(model: LanguageModel, params: Params, keys: jax.Array) -> jax.Array:
    def one(key: jax.Array) -> jax.Array:
        return model.sample(params, key)

    return jax.lax.map(one, keys, batch_size=_chunk(model))


@functools.partial(jax.jit, static_argnums=0)
def _log_probs(model: LanguageModel, params: Params, sentences: jax.Array) -> jax.Array:
    def one(sentence: jax.Array) -> jax.Array:
        counts = model.counts(sentence)
        return jnp.where(counts, model.log_prob(params, sentence), 0.0)

    return jax.lax.map(one, sentences, batch_size=_chunk(model))


def _chunk(model: LanguageModel) -> int:
    return max(1, _CHUNK // (model.num_words * model.num_steps))
