"""The evidence lower bound of a logistic regression, and its gradient's variance.

References:
  S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, Monte Carlo gradient estimation in machine
  learning, 2020, section 8.3.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_breast_cancer

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.tasks.logistic_regression.settings import (
    NUM_ROWS,
    NUM_WEIGHTS,
    Settings,
)
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.one_layer import OneLayer
from jaxdiscrete.experiments.training.placement import Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, gradient_log_variance
from jaxdiscrete.experiments.training.task import Metrics, Params
from jaxdiscrete.experiments.training.without_data import TaskWithoutData

#: Gradients, and samples of a bound, that are alive at once.
_CHUNK = 100


class Rows(NamedTuple):
    """Some rows of the set."""

    x: jax.Array
    """``[rows, weights]``, standardised, with a column of ones."""
    sign: jax.Array
    """``[rows]``, 1 for benign and -1 for malignant."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Independent normal variables, for :func:`jaxdiscrete.as_sampler`."""

    loc: jax.Array
    scale: jax.Array

    def sample(self, key: jax.Array) -> jax.Array:
        """One draw of all variables."""
        return self.loc + self.scale * jax.random.normal(key, self.loc.shape)

    def log_prob(self, w: jax.Array) -> jax.Array:
        """The log-density of every variable."""
        return jax.scipy.stats.norm.logpdf(w, self.loc, self.scale)


def gaussian(weights: Params) -> Any:
    """The sampler that the parameters of the model describe."""
    return jd.as_sampler(Gaussian(weights["mean"], jnp.exp(weights["log_scale"])))


def divergence(weights: Params) -> jax.Array:
    """KL(q, N(0, 1)) in nats, summed over the weights."""
    mean, log_scale = weights["mean"], weights["log_scale"]
    terms = jnp.exp(2.0 * log_scale) + jnp.square(mean) - 1.0 - 2.0 * log_scale
    return 0.5 * terms.sum()


def cost(w: jax.Array, rows: Rows) -> jax.Array:
    """Minus the log-likelihood of all rows, as some of them have it, in nats."""
    return NUM_ROWS * jax.nn.softplus(-rows.sign * (rows.x @ w)).mean()


@dataclasses.dataclass(frozen=True, eq=False)
class LogisticRegressionTask(OneLayer, TaskWithoutData):
    """The problem of :class:`Settings`; a batch is that many rows."""

    title = "breast cancer (scikit-learn), 569 rows"

    @property
    def settings(self) -> Settings:
        """The settings of the problem."""
        return cast(Settings, self.config.model)

    def data(self) -> Rows:
        """All rows."""
        x, benign = load_breast_cancer(return_X_y=True)
        x = np.c_[(x - x.mean(0)) / x.std(0), np.ones(len(x))].astype(np.float32)
        rows = Rows(*self.placement.replicate((x, np.float32(2.0 * benign - 1.0))))
        assert rows.x.shape == (NUM_ROWS, NUM_WEIGHTS)
        return rows

    def init(self, key: jax.Array) -> Params:
        """The prior; any key will do."""
        del key
        return {"mean": jnp.zeros(NUM_WEIGHTS), "log_scale": jnp.zeros(NUM_WEIGHTS)}

    @property
    def latents(self) -> LatentSpec:
        """All weights, of which a baseline sees nothing."""
        return LatentSpec(jnp.zeros(NUM_WEIGHTS), (NUM_WEIGHTS,), jnp.zeros(0))

    def batch(self, key: jax.Array, chosen: jax.Array, data: Rows) -> Rows:
        """Rows that are chosen anew, without replacement."""
        del chosen
        shape = (self.config.training.batch_size,)
        drawn = jax.random.choice(key, NUM_ROWS, shape, replace=False)
        return Rows(data.x[drawn], data.sign[drawn])

    def loss(
        self, params: Params, key: jax.Array, batch: Rows, step: jax.Array
    ) -> jax.Array:
        """Minus the bound in nats, with the estimated gradient.

        The gradient of the divergence is exact.
        """
        value = self._expected_cost(self.config, params, key, batch, step)
        return value + divergence(params["model"])

    def _expected_cost(
        self, config: Config, params: Params, key: jax.Array, rows: Rows, step: Any
    ) -> jax.Array:
        control_variate = params["control_variate"]["layer_0"]
        estimate = config.estimator.build(cost, control_variate, step)
        value: jax.Array = estimate(key, gaussian(params["model"]), rows)
        return value

    def log_variances(self, state: TrainState) -> Metrics:
        """The gradient's variance over all rows, by fresh samples.

        The repeats of an estimator are independent: the variance of one is measured,
        and that of their mean follows.

        Args:
          state: after at least one step.

        Returns:
          Natural logarithms, averaged over all parameters, over the means, and over
          the logarithms of the scales.
        """
        key = jax.random.fold_in(
            stream(self.config.seed, Stream.EVALUATION), state.step
        )
        repeats = self.config.estimator.num_repeats
        once = dataclasses.replace(self.config.estimator, num_repeats=1)
        config, rows = dataclasses.replace(self.config, estimator=once), self.data()

        def gradient(key: jax.Array) -> Any:
            # The step is the last one, whose value the schedules have.
            return jax.grad(
                lambda p: self._expected_cost(config, p, key, rows, state.step - 1)
            )(state.params)["model"]

        keys = jax.random.split(key, self.settings.num_gradients)
        found = jax.lax.map(gradient, keys, batch_size=_CHUNK)
        parts = {"log_variance": found} | {
            f"{part}_log_variance": gradients for part, gradients in found.items()
        }
        return {
            name: gradient_log_variance(gradients) - jnp.log(repeats)
            for name, gradients in parts.items()
        }

    def metrics(self, state: TrainState, losses: jax.Array, data: Rows) -> Metrics:
        """The bound over all rows, and the gradient's variance there.

        Args:
          state: at the end of a block.
          losses: of its steps.
          data: all rows.

        Returns:
          ``train_elbo`` in nats, ``loss`` of the last batch, and log variances.
        """
        weights = state.params["model"]
        key = jax.random.fold_in(stream(self.config.seed, Stream.FINAL), state.step)
        keys = jax.random.split(key, self.config.evaluation.num_samples)
        q = gaussian(weights)
        costs = jax.lax.map(
            lambda key: cost(q.sample(key), data), keys, batch_size=_CHUNK
        )
        bound = -costs.mean() - divergence(weights)
        return {"train_elbo": bound, "loss": losses[-1]} | self.log_variances(state)

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """Those of the last block.

        Args:
          state: not used.
          rows: metrics of all blocks.

        Returns:
          As from :meth:`metrics`.
        """
        del state
        names = ("train_elbo", "loss", "log_variance")
        parts = ("mean_log_variance", "log_scale_log_variance")
        return {name: float(rows[-1][name]) for name in (*names, *parts)}


def make(config: Config, placement: Placement) -> LogisticRegressionTask:
    """The task, whose rows come with scikit-learn.

    Args:
      config: a checked configuration.
      placement: on which devices.

    Returns:
      The task.
    """
    return LogisticRegressionTask(config, placement)
