"""The common part of tasks on sentences: data, batches, and judgements as metrics."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.language.corpus import Corpus, draw
from jaxdiscrete.experiments.language.load import make_model
from jaxdiscrete.experiments.language.model import LanguageModel
from jaxdiscrete.experiments.language.settings import LanguageSettings
from jaxdiscrete.experiments.training.batches import check_batch_size, epoch_rows
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import (
    Moments,
    TrainState,
    check_finite,
    log_variance,
)
from jaxdiscrete.experiments.training.task import Metrics, Params

#: Sentences that are printed.
NUM_SHOWN = 12


@dataclasses.dataclass(frozen=True, eq=False)
class SentenceTask:
    """A task whose model has a language model, its ``"generator"``.

    Args:
      config: a checked configuration.
      corpus: the sentences.
      placement: on which devices. Default: one.
      first: the model of a run to begin with. Default: drawn at random.

    Raises:
      UsageError: if a batch is larger than the training set or does not split over
        the devices.
    """

    config: Config
    corpus: Corpus
    placement: Placement = ONE_DEVICE
    first: Params = None

    image_shape = (0, 0)

    def __post_init__(self) -> None:
        batch = self.config.training.batch_size
        check_batch_size(batch, len(self.corpus.train), self.placement)

    @property
    def title(self) -> str:
        """The corpus."""
        return self.corpus.title

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the training set."""
        return len(self.corpus.train) // self.config.training.batch_size

    @functools.cached_property
    def model(self) -> LanguageModel:
        """The language model."""
        return make_model(cast(LanguageSettings, self.config.model), self.corpus)

    def data(self) -> jax.Array:
        """The training sentences."""
        placed: jax.Array = self.placement.replicate(self.corpus.train)
        return placed

    def init(self, key: jax.Array) -> Params:
        """The first parameters of the language model.

        Args:
          key: PRNG key, for parameters that are drawn.

        Returns:
          ``{"generator"}``.
        """
        if self.first is not None:
            return {"generator": jax.tree.map(jnp.asarray, self.first["generator"])}
        return {"generator": self.model.init(key)}

    def init_control_variates(self, params: Params, key: jax.Array) -> Params:
        """There are none."""
        del params, key
        return {"layer_0": {}}

    def batches(self, first_step: jax.Array, num_steps: int, data: Any) -> jax.Array:
        """The rows of every step of a block; as in :func:`epoch_rows`."""
        training = self.config.training
        return epoch_rows(
            self.config.seed, first_step, num_steps, len(data), training.batch_size
        )

    def batch(self, key: jax.Array, chosen: jax.Array, data: Any) -> jax.Array:
        """Some of the sentences, ``[batch, num_steps]``."""
        del key
        rows: jax.Array = data[chosen]
        return rows

    def log_variances(self, state: TrainState) -> Metrics:
        """The variance of the generator's gradient.

        Args:
          state: after at least one step.

        Returns:
          ``log_variance``.
        """
        moments = Moments(*(part["generator"] for part in state.moments))
        return {"log_variance": log_variance(moments, state.step)}

    def metrics(self, state: TrainState, losses: jax.Array, data: Any) -> Metrics:
        """The judgement of samples after a block, and the gradient's variance.

        Args:
          state: at the end of a block.
          losses: not used.
          data: not used.

        Returns:
          Scalars.
        """
        del losses, data
        key = jax.random.fold_in(
            stream(self.config.seed, Stream.EVALUATION), state.step
        )
        generator = state.params["model"]["generator"]
        num = self.config.evaluation.num_examples
        judged = self.corpus.metrics(self.model, generator, key, num)
        return judged | self.log_variances(state)

    def final_metrics(
        self, state: TrainState, rows: list[dict[str, Any]]
    ) -> dict[str, float]:
        """The judgement of samples at every inverse temperature.

        Args:
          state: after training.
          rows: metrics of all blocks.

        Returns:
          Numbers by metric, with ``@`` and the inverse temperature where it is not 1.

        Raises:
          RunError: if one is not finite.
        """
        del rows
        settings = cast(LanguageSettings, self.config.model)
        generator = state.params["model"]["generator"]
        key = stream(self.config.seed, Stream.FINAL)
        num = self.config.evaluation.num_test_examples
        found: dict[str, float] = {}
        for alpha in settings.alphas:
            sharp = self.model.sharpen(generator, np.float32(alpha))
            judged = self.corpus.final_metrics(self.model, sharp, key, num)
            suffix = "" if math.isclose(alpha, 1.0) else f"@{alpha:g}"
            found |= {f"{name}{suffix}": value for name, value in judged.items()}
        remedy = "Lower optimizer.learning_rate and start again with --overwrite."
        check_finite(int(state.step), found, remedy)
        return found

    def pictures(self, state: TrainState) -> dict[str, Any]:
        """There are none."""
        del state
        return {}

    def texts(self, state: TrainState) -> dict[str, list[str]]:
        """Samples of the model.

        Args:
          state: after training.

        Returns:
          By file name.
        """
        key = stream(self.config.seed, Stream.FIGURES)
        generator = state.params["model"]["generator"]
        rows = np.asarray(draw(self.model, generator, key, NUM_SHOWN))
        return {"samples": [self.corpus.show(row) for row in rows]}
