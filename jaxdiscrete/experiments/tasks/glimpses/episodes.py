"""Glimpses of one scene, and the gradient that their cost gives."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.sequences import PATHWISE
from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.tasks.glimpses.network import GlimpseNetwork
from jaxdiscrete.experiments.training.settings import Config


@dataclasses.dataclass(frozen=True)
class Episodes:
    """The looking at scenes under a configuration.

    Args:
      config: of the run.
      network: which looks.
    """

    config: Config
    network: GlimpseNetwork

    def estimate(
        self,
        params: Params,
        key: jax.Array,
        image: jax.Array,
        label: jax.Array,
        step: jax.Array,
    ) -> jax.Array:
        """The cost of the glimpses of one scene, with the estimated gradient.

        To the choices it is that of the estimator. To what reads the glimpses, and
        through the states to all that was read before, it is the exact one.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key.
          image: of the scene.
          label: of its digit.
          step: the training step, for schedules.

        Returns:
          A scalar in nats, the mean over as many sequences of glimpses as the estimator
          draws at once.
        """
        estimator, weights = self.config.estimator, params["model"]
        places, times = self.network.places(image), self._times
        if estimator.name in PATHWISE:
            return self._relaxed(weights, key, places, label, step)
        control_variate = params["control_variate"]["layer_0"]

        def policy(state: jax.Array, t: jax.Array) -> tuple[Any, tuple[Any, ...]]:
            return self.network.choose(weights, state), (self.inputs(state, t),)

        def look(state: jax.Array, z: jax.Array, t: jax.Array) -> Any:
            return self._look(weights, state, places, label, z, t)

        estimate = jd.sequential(
            lambda f: estimator.build_decision(f, control_variate, step),
            policy,
            look,
            credit=estimator.credit,
            num_samples=estimator.hard_samples,
        )
        value: jax.Array = estimate(key, self.network.start(), times)
        return value

    def _relaxed(
        self,
        weights: Params,
        key: jax.Array,
        places: jax.Array,
        label: jax.Array,
        step: jax.Array,
    ) -> jax.Array:
        """A scan of mixtures of places: the derivative goes through all of them."""
        estimator = self.config.estimator
        is_hard = estimator.name == "straight_through_gumbel_softmax"
        temperature = estimator.temperature_at(step)

        def body(state: jax.Array, row: Any) -> tuple[jax.Array, jax.Array]:
            key, t = row
            logits = self.network.choose(weights, state).logits
            z = jd.sample_gumbel_softmax(key, logits, temperature, is_hard)
            return self._look(weights, state, places, label, z, t)

        keys = jax.random.split(key, len(self._times))
        rows = (keys, self._times)
        _, costs = jax.lax.scan(body, self.network.start(), rows)
        return costs.sum()

    def _look(
        self,
        weights: Params,
        state: jax.Array,
        places: jax.Array,
        label: jax.Array,
        z: jax.Array,
        t: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """The state after one more glimpse, and its part of the cost."""
        state, log_p = self.network.read(weights, state, places, z)
        settings = self.network.settings
        if settings.cost == "every":
            return state, -log_p[label] / settings.num_glimpses
        return state, jnp.where(t == settings.num_glimpses - 1, -log_p[label], 0.0)

    def inputs(self, state: jax.Array, t: jax.Array) -> jax.Array:
        """Inputs of baselines and critics: the state, and how many glimpses it saw."""
        return jnp.concatenate([state, jax.nn.one_hot(t, len(self._times))])

    @property
    def _times(self) -> jax.Array:
        return jnp.arange(self.network.settings.num_glimpses)
