"""k features of a row that are to be enough for its label."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.tasks.feature_selection.network import SelectionNetwork
from jaxdiscrete.experiments.tasks.feature_selection.problems import (
    Rows,
    cross_entropy,
    draw,
    entropy,
)
from jaxdiscrete.experiments.tasks.feature_selection.settings import (
    NUM_FEATURES,
    Settings,
)
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.one_layer import OneLayer
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, log_variances
from jaxdiscrete.experiments.training.task import Metrics
from jaxdiscrete.experiments.training.without_data import TaskWithoutData

_TITLES = {
    "xor": "XOR of two features",
    "orange_skin": "orange skin, four features",
    "additive": "nonlinear additive, four features",
    "switch": "switch between orange skin and nonlinear additive",
}
#: Rows that are alive at once.
_CHUNK = 1000
_NUM_SHOWN = 10


@dataclasses.dataclass(frozen=True, eq=False)
class SelectionTask(OneLayer, TaskWithoutData):
    """The problem of :class:`Settings`; every step has rows that it never saw."""

    @property
    def image_shape(self) -> tuple[int, int]:
        """The features of a row, one below the other."""
        return NUM_FEATURES, 1

    @property
    def settings(self) -> Settings:
        """The settings of the problem."""
        return cast(Settings, self.config.model)

    @property
    def title(self) -> str:
        """The way in which the label depends on the features."""
        return _TITLES[self.settings.problem]

    @functools.cached_property
    def network(self) -> SelectionNetwork:
        """The networks that choose and see."""
        return SelectionNetwork(self.settings)

    @property
    def latents(self) -> LatentSpec:
        """A mask of features, of which a baseline sees the row and its label."""
        inputs = jnp.zeros(NUM_FEATURES + 1)
        return LatentSpec(jnp.zeros(NUM_FEATURES), (), inputs)

    def batch(self, key: jax.Array, chosen: jax.Array, data: Any) -> Rows:
        """New rows.

        Args:
          key: PRNG key.
          chosen: not used.
          data: not used.

        Returns:
          As many as a batch has.
        """
        del chosen
        return draw(self.settings.problem, key, self.config.training.batch_size)

    def loss(
        self, params: Params, key: jax.Array, batch: Rows, step: jax.Array
    ) -> jax.Array:
        """The cross-entropy of a batch and the penalty on weights.

        Args:
          params: ``{"model", "control_variate"}``.
          key: PRNG key, split over the batch.
          batch: rows.
          step: the training step, for schedules.

        Returns:
          A scalar in nats, the mean over the batch.
        """
        split = self.placement.split
        keys = split(jax.random.split(key, len(batch.x)))
        one = self._estimate(params, step)
        value = jax.vmap(one)(keys, split(batch.x), split(batch.logit)).mean()
        return value + self.settings.l2 * self.network.penalty(params["model"])

    def _estimate(self, params: Params, step: jax.Array) -> Callable[..., jax.Array]:
        """The cross-entropy of one row under a mask of the estimator's."""
        network, weights = self.network, params["model"]
        control_variate = params["control_variate"]["layer_0"]

        def one(key: jax.Array, x: jax.Array, logit: jax.Array) -> jax.Array:
            def f(z: jax.Array, inputs: jax.Array) -> jax.Array:
                del inputs
                return cross_entropy(logit, network.predict(weights, x, z))

            estimate = self.config.estimator.build(f, control_variate, step)
            # A baseline may know what f knows of the row.
            inputs = jnp.concatenate([x, jax.nn.sigmoid(logit)[None]])
            return estimate(key, network.choose(weights, x), inputs)

        return one

    def metrics(self, state: TrainState, losses: jax.Array, data: Any) -> Metrics:
        """The features that are most likely to be chosen, on new rows.

        Args:
          state: at the end of a block.
          losses: not used.
          data: not used.

        Returns:
          Scalars.
        """
        del losses, data
        key = stream(self.config.seed, Stream.EVALUATION)
        key = jax.random.fold_in(key, state.step)
        num_rows = self.config.evaluation.num_examples
        found = self._evaluate(state, draw(self.settings.problem, key, num_rows))
        means = {name: values.mean() for name, values in found.items()}
        return means | self.log_variances(state)

    def log_variances(self, state: TrainState) -> Metrics:
        """The gradient's variance, from the moving averages of the run.

        Args:
          state: after at least one step.

        Returns:
          Scalars, of all parameters and of the network that chooses.
        """
        return log_variances(state.moments, state.step)

    def _evaluate(self, state: TrainState, rows: Rows) -> dict[str, jax.Array]:
        """One entry per row: the k largest logits as a hard mask, and their ranks."""
        network, weights = self.network, state.params["model"]

        def one(row: Rows) -> dict[str, jax.Array]:
            q = network.choose(weights, row.x)
            z = q.threshold(q.logits)
            predicted = network.predict(weights, row.x, z)
            found = cross_entropy(row.logit, predicted)
            return {
                "cross_entropy": found,
                "excess": found - entropy(row.logit),
                "median_rank": median_rank(q.logits, row.matters),
            }

        return jax.lax.map(one, rows, batch_size=_CHUNK)

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The metrics of the results, on rows that no step saw.

        Args:
          state: after training.
          rows: metrics of all blocks.

        Returns:
          Cross-entropies in nats under hard masks and under those of training, the
          entropy of the labels, ranks, and log variances.
        """
        key_rows, key_masks = jax.random.split(stream(self.config.seed, Stream.FINAL))
        num_rows = self.config.evaluation.num_test_examples

        @jax.jit
        def final(state: TrainState) -> dict[str, jax.Array]:
            test = draw(self.settings.problem, key_rows, num_rows)
            # The last step, whose value the schedules have.
            one = self._estimate(state.params, state.step - 1)
            keys = jax.random.split(key_masks, num_rows)
            args = (keys, test.x, test.logit)
            seen = jax.lax.map(lambda a: one(*a), args, batch_size=_CHUNK)
            found = self._evaluate(state, test)
            return found | {"entropy": entropy(test.logit), "training": seen}

        found = {name: np.asarray(v) for name, v in final(state).items()}
        error = found["excess"].std(ddof=1) / np.sqrt(num_rows)
        means = {name: float(v.mean()) for name, v in found.items()}
        last = rows[-1]
        return {
            "test_cross_entropy": means["cross_entropy"],
            "entropy": means["entropy"],
            "excess": means["excess"],
            "excess_se": float(error),
            "mismatch": means["cross_entropy"] - means["training"],
            "median_rank": means["median_rank"],
            **{m: last[m] for m in ("loss", "log_variance", "encoder_log_variance")},
        }

    def pictures(self, state: TrainState) -> dict[str, Picture]:
        """Rows, which of their features matter, and which are chosen."""
        key = stream(self.config.seed, Stream.FIGURES)
        rows = draw(self.settings.problem, key, _NUM_SHOWN)
        network, weights = self.network, state.params["model"]

        @jax.jit
        def chosen(x: jax.Array) -> jax.Array:
            q = network.choose(weights, x)
            return q.threshold(q.logits)

        images = np.stack(
            [np.asarray(rows.matters, np.float32), jax.vmap(chosen)(rows.x)]
        )
        return {
            "chosen": Picture(
                images,
                ["matters", "chosen"],
                "The ten features of ten rows, from top to bottom",
            )
        }


def median_rank(scores: jax.Array, matters: jax.Array) -> jax.Array:
    """The median rank of the features that matter; the largest score has rank 1.

    Args:
      scores: of one row.
      matters: whether the label depends on a feature.

    Returns:
      A scalar: (k + 1) / 2 where the k that matter have the largest scores.
    """
    ranks = 1 + jnp.argsort(jnp.argsort(-scores))
    return jnp.nanmedian(jnp.where(matters, ranks.astype(jnp.float32), jnp.nan))


def make(config: Config, placement: Placement) -> SelectionTask:
    """The task, which has no data.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.
    """
    return SelectionTask(config, placement)
