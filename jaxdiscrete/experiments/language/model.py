"""A recurrent model of sentences: their probabilities, and samples of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiscrete.noise import index_from_bits

Params = Any
#: Memory and output of the cell.
Carry = Any


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """An LSTM over words, whose next word is linear in its output.

    It reads word 0 first. A sentence is an int32 array ``[num_steps]`` of words.

    Args:
      num_words: words, 0 among them.
      num_steps: words of a sentence, an end included.
      embedding: size of the vectors of words.
      hidden: units of the cell.
      scale: standard deviation of all initial parameters, biases included.
      ends: whether word 0 ends a sentence, behind which there are only zeros.
    """

    num_words: int
    num_steps: int
    embedding: int
    hidden: int
    scale: float = 0.1
    ends: bool = True

    def init(self, key: jax.Array) -> Params:
        """Initial parameters.

        Args:
          key: PRNG key.

        Returns:
          ``{"embedding", "cell", "output"}``.
        """
        key_embedding, key_cell, key_output = jax.random.split(key, 3)
        draw = nn.initializers.normal(self.scale)
        x = jnp.zeros(self.embedding)
        carry = self.start()
        return {
            "embedding": draw(key_embedding, (self.num_words, self.embedding)),
            "cell": self._cell.init(key_cell, carry, x)["params"],
            "output": self._output.init(key_output, carry[1])["params"],
        }

    def start(self) -> Carry:
        """The carry before anything is read."""
        return jnp.zeros(self.hidden), jnp.zeros(self.hidden)

    def read(self, params: Params, carry: Carry, word: jax.Array) -> Carry:
        """The carry after one more word.

        Args:
          params: of the model.
          carry: before it.
          word: its vector, a row of ``params["embedding"]`` or a mean of rows.

        Returns:
          Memory and output.
        """
        carry, _ = self._cell.apply({"params": params["cell"]}, carry, word)
        return carry

    def logits(self, params: Params, carry: Carry) -> jax.Array:
        """Unnormalised log-probabilities of the next word.

        Args:
          params: of the model.
          carry: memory and output, the output ``[..., hidden]``.

        Returns:
          ``[..., num_words]``.
        """
        logits: Any = self._output.apply({"params": params["output"]}, carry[1])
        return logits

    def log_prob(self, params: Params, sentence: jax.Array) -> jax.Array:
        """Log-probabilities of the words of a sentence, each given those before it.

        Args:
          params: of the model.
          sentence: int32 ``[num_steps]``.

        Returns:
          ``[num_steps]``, in nats; what stands behind an end is no zero.
        """
        before = jnp.concatenate([jnp.zeros(1, sentence.dtype), sentence[:-1]])

        def body(carry: Carry, word: jax.Array) -> tuple[Carry, jax.Array]:
            carry = self.read(params, carry, word)
            return carry, carry[1]

        _, outputs = jax.lax.scan(body, self.start(), params["embedding"][before])
        logits = self.logits(params, (None, outputs))
        chosen = jnp.take_along_axis(logits, sentence[:, None], axis=1)[:, 0]
        return chosen - jax.nn.logsumexp(logits, axis=1)

    def sample(self, params: Params, key: jax.Array) -> jax.Array:
        """One sentence.

        Args:
          params: of the model.
          key: PRNG key.

        Returns:
          int32 ``[num_steps]``.
        """

        def body(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            state, word, has_ended = carry
            state = self.read(params, state, params["embedding"][word])
            probabilities = jax.nn.softmax(self.logits(params, state))
            bits = jax.random.bits(key, (), jnp.uint32)
            word = jnp.where(has_ended, 0, index_from_bits(bits, probabilities))
            return (state, word, has_ended | (self.ends & (word == 0))), word

        start = (self.start(), jnp.zeros((), jnp.int32), jnp.zeros((), bool))
        _, sentence = jax.lax.scan(body, start, jax.random.split(key, self.num_steps))
        return sentence

    def sharpen(self, params: Params, alpha: Any) -> Params:
        """The model at another temperature.

        Args:
          params: of the model.
          alpha: what the logits are multiplied by, an inverse temperature.

        Returns:
          Parameters.
        """
        output = jax.tree.map(lambda x: alpha * x, params["output"])
        return params | {"output": output}

    def counts(self, sentences: jax.Array) -> jax.Array:
        """The words that count: all, or those up to the end, which is one of them.

        Args:
          sentences: int32 ``[..., num_steps]``.

        Returns:
          Booleans of that shape.
        """
        if not self.ends:
            return jnp.ones(jnp.shape(sentences), bool)
        is_end = (jnp.asarray(sentences) == 0).astype(jnp.int32)
        return jnp.cumsum(is_end, axis=-1) == is_end

    @property
    def _cell(self) -> nn.OptimizedLSTMCell:
        draw = nn.initializers.normal(self.scale)
        return nn.OptimizedLSTMCell(
            self.hidden, kernel_init=draw, recurrent_kernel_init=draw, bias_init=draw
        )

    @property
    def _output(self) -> nn.Dense:
        draw = nn.initializers.normal(self.scale)
        return nn.Dense(self.num_words, kernel_init=draw, bias_init=draw)
