"""The odds that a sentence is real, word by word."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

Params = Any
Carry = Any


@dataclasses.dataclass(frozen=True)
class Discriminator:
    """An LSTM that adds to the log-odds with every word that it reads.

    At its best a word adds log p(word | words before it) under the real text minus the
    same under the generator, so that a sum of them credits every word by itself. A word
    is a vector of the vocabulary's size, one-hot or on the simplex, in which both what
    is added and what is remembered are linear.

    Args:
      num_words: words.
      embedding: size of the vectors of words.
      hidden: units of the cell.
      dropout: share of a word's vector and of the output that is left out.
    """

    num_words: int
    embedding: int
    hidden: int
    dropout: float = 0.0

    def init(self, key: jax.Array) -> Params:
        """Initial parameters, of a discriminator that says even odds.

        Args:
          key: PRNG key.

        Returns:
          ``{"embedding", "bias", "cell", "output"}``.
        """
        key_embedding, key_cell = jax.random.split(key)
        draw = nn.initializers.normal(0.1)
        vector = jnp.zeros(self.embedding)
        return {
            "embedding": draw(key_embedding, (self.num_words, self.embedding)),
            "bias": jnp.zeros(self.num_words),
            "cell": self._cell.init(key_cell, self.start(), vector)["params"],
            "output": jnp.zeros((self.hidden, self.embedding)),
        }

    def start(self) -> Carry:
        """The carry before anything is read."""
        return jnp.zeros(self.hidden), jnp.zeros(self.hidden)

    def judge(self, params: Params, carry: Carry, word: jax.Array) -> Any:
        """The log-odds that a word adds, and the carry behind it.

        Args:
          params: of the discriminator.
          carry: of the words before it.
          word: ``[num_words]``.

        Returns:
          Carry and scalar.
        """
        vector = word @ params["embedding"]
        added = jnp.dot(carry[1] @ params["output"], vector)
        added += jnp.dot(word, params["bias"])
        carry, _ = self._cell.apply({"params": params["cell"]}, carry, vector)
        return carry, added

    def log_odds(
        self,
        params: Params,
        key: jax.Array,
        sentence: jax.Array,
        counts: jax.Array,
    ) -> jax.Array:
        """The log-odds after every word of a sentence, with dropout.

        Args:
          params: of the discriminator.
          key: PRNG key.
          sentence: int32 ``[num_steps]``.
          counts: booleans ``[num_steps]``, of the words that count.

        Returns:
          ``[num_steps]``.
        """
        key_vector, key_output = jax.random.split(key)
        vectors = params["embedding"][sentence]
        # One mask per sentence: a word that is left out here is not told there.
        vectors = vectors * self._mask(key_vector, self.embedding)[None]

        def body(carry: Carry, vector: jax.Array) -> tuple[Carry, jax.Array]:
            before = carry[1]
            carry, _ = self._cell.apply({"params": params["cell"]}, carry, vector)
            return carry, before

        _, outputs = jax.lax.scan(body, self.start(), vectors)
        outputs = outputs * self._mask(key_output, self.hidden)[None]
        added = jnp.sum((outputs @ params["output"]) * vectors, axis=1)
        added += params["bias"][sentence]
        return jnp.cumsum(jnp.where(counts, added, 0.0))

    def _mask(self, key: jax.Array, size: int) -> jax.Array:
        keep = 1.0 - self.dropout
        return jax.random.bernoulli(key, keep, (size,)).astype(jnp.float32) / keep

    @property
    def _cell(self) -> nn.OptimizedLSTMCell:
        return nn.OptimizedLSTMCell(self.hidden)


def cross_entropy(log_odds: jax.Array, counts: jax.Array, *, is_real: bool) -> Any:
    """The discriminator's loss on sentences that are all real or all made.

    Args:
      log_odds: ``[..., num_steps]``.
      counts: of that shape, which of them count.
      is_real: whether they are real.

    Returns:
      Nats per word, a scalar.
    """
    sign = 1.0 if is_real else -1.0
    return jax.nn.softplus(-sign * log_odds).mean(where=counts)
