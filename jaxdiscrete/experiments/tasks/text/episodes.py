"""Sentences that a generator writes for rewards, and the gradient that these give."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.sequences import PATHWISE
from jaxdiscrete.experiments.language.discriminator import Discriminator
from jaxdiscrete.experiments.language.model import LanguageModel
from jaxdiscrete.experiments.tasks.text.settings import Settings
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.task import Params


class Writer(NamedTuple):
    """The state between two words."""

    generator: Any
    """The carry of the language model, which has read all words so far."""
    discriminator: Any
    has_ended: jax.Array
    chance: jax.Array
    """A key of the words so far, for rewards that are drawn: rollouts of one start
    share all else that is random."""


@dataclasses.dataclass(frozen=True)
class Episodes:
    """The writing of sentences under a configuration.

    Args:
      config: of the run.
      model: the generator.
      discriminator: what rewards it, if anything does.
    """

    config: Config
    model: LanguageModel
    discriminator: Discriminator

    @property
    def settings(self) -> Settings:
        """The settings of the model."""
        assert isinstance(self.config.model, Settings)
        return self.config.model

    def estimate(
        self,
        params: Params,
        control_variate: Params,
        key: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """The cost of sentences, with the estimated gradient, and the sentences.

        Args:
          params: of generator and discriminator; the latter gets no gradient.
          control_variate: of the estimator.
          key: PRNG key.
          step: the training step, for schedules.

        Returns:
          A scalar, the mean over as many sentences as the estimator draws at once, and
          int32 ``[sentences, num_steps]``.
        """
        params = params | {
            "discriminator": jax.lax.stop_gradient(params["discriminator"])
        }
        if self.config.estimator.name in PATHWISE:
            return self._relaxed(params, key, step)
        return self._sequential(params, control_variate, key, step)

    def _sequential(
        self,
        params: Params,
        control_variate: Params,
        key: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        estimator = self.config.estimator

        def transform(f: Any) -> jd.Estimator:
            return estimator.build_decision(f, control_variate, step)

        def policy(writer: Writer, time: jax.Array) -> tuple[Any, tuple[Any, ...]]:
            del time
            return self._next_word(params, writer), (self.inputs(writer),)

        def write(writer: Writer, z: jax.Array, time: jax.Array) -> Any:
            del time
            writer, cost = self._write(params, writer, z)
            return writer, (cost, jnp.argmax(z).astype(jnp.int32))

        def credit(costs: jax.Array) -> jax.Array:
            return jd.reward_to_go(costs, discount=self.settings.discount)

        def is_open(writer: Writer, time: jax.Array) -> jax.Array:
            del time
            return ~writer.has_ended

        active = is_open if self.model.ends else None
        key_chance, key_words = jax.random.split(key)
        estimate = jd.sequential(
            transform,
            policy,
            write,
            credit=credit,
            active=active,
            num_samples=estimator.hard_samples,
            has_aux=True,
        )
        start, times = self._start(params, key_chance), jnp.arange(self.model.num_steps)
        value, (_, (_, words)) = estimate(key_words, start, times)
        return value, self._ended(words.reshape(-1, self.model.num_steps))

    def _relaxed(
        self, params: Params, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """A scan of relaxed words: the derivative goes through all of them."""
        estimator = self.config.estimator
        is_hard = estimator.name == "straight_through_gumbel_softmax"
        temperature = estimator.temperature_at(step)

        def body(writer: Writer, key: jax.Array) -> tuple[Writer, Any]:
            logits = self._next_word(params, writer).logits
            z = jd.sample_gumbel_softmax(key, logits, temperature, is_hard)
            new, cost = self._write(params, writer, z)
            return new, (
                jnp.where(writer.has_ended, 0.0, cost),
                jnp.argmax(z).astype(jnp.int32),
            )

        keys = jax.random.split(key, self.model.num_steps)
        _, (costs, words) = jax.lax.scan(body, self._start(params, key), keys)
        return costs.sum(), self._ended(words[None])

    def _start(self, params: Params, key: jax.Array) -> Writer:
        generator = params["generator"]
        first = generator["embedding"][0]
        carry = self.model.read(generator, self.model.start(), first)
        has_ended = jnp.zeros((), bool)
        return Writer(carry, self.discriminator.start(), has_ended, key)

    def _next_word(self, params: Params, writer: Writer) -> jd.OneHotCategorical:
        logits = self.model.logits(params["generator"], writer.generator)
        return jd.OneHotCategorical(logits)

    def inputs(self, writer: Writer) -> jax.Array:
        """Inputs of baselines and critics: the state of generator and discriminator."""
        return jnp.concatenate([writer.generator[1], writer.discriminator[1]])

    def _write(
        self, params: Params, writer: Writer, z: jax.Array
    ) -> tuple[Writer, jax.Array]:
        """One more word, and its cost: a reward is a negated cost."""
        generator, settings = params["generator"], self.settings
        carry = self.model.read(generator, writer.generator, z @ generator["embedding"])
        judging, word = writer.discriminator, jax.lax.stop_gradient(jnp.argmax(z))
        chance = jax.random.fold_in(writer.chance, word)
        if settings.reward == "discriminator":
            judging, added = self.discriminator.judge(
                params["discriminator"], judging, z
            )
            reward = jnp.clip(added, -settings.reward_clip, settings.reward_clip)
        else:
            is_drawn = settings.reward == "random"
            reward = jax.random.uniform(chance) if is_drawn else jnp.full((), 0.5)
        has_ended = writer.has_ended | (self.model.ends & (word == 0))
        return Writer(carry, judging, has_ended, chance), -reward

    def _ended(self, words: jax.Array) -> jax.Array:
        return jnp.where(self.model.counts(words), words, 0)
