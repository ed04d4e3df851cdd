"""What a trained model sees and makes, as rows of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data import shuffled_subset
from jaxdiscrete.experiments.diagnostics import TrainState
from jaxdiscrete.experiments.models import hardened
from jaxdiscrete.experiments.models.semi_supervised import NUM_LABELS
from jaxdiscrete.experiments.objective import sample_layers
from jaxdiscrete.experiments.training import Experiment

NUM_IMAGES = 10
NUM_ROWS = 4


class Picture(NamedTuple):
    """``[rows, columns, pixels]`` in [0, 1], a label a row or none, a title."""

    images: np.ndarray
    labels: list[str]
    title: str


def draw(experiment: Experiment, state: TrainState) -> dict[str, Picture]:
    """The pictures of a run.

    Args:
      experiment: the run.
      state: after training.

    Returns:
      By file name.
    """
    key_pixels, key = jax.random.split(experiment.keys.figures)
    rows = jnp.asarray(shuffled_subset(experiment.dataset.test, NUM_IMAGES))
    x = experiment.pixels(key_pixels, rows)
    task = _TASKS[experiment.config.model.task]
    return task(experiment.model, state.params["model"], key, x)


def _generative(
    model: Any, params: Any, key: jax.Array, x: jax.Array
) -> dict[str, Picture]:
    model = hardened(model)
    key_prior, key_posterior = jax.random.split(key)

    @jax.jit
    def decode(keys: jax.Array) -> jax.Array:
        def one(key: jax.Array, x: jax.Array) -> jax.Array:
            up, down = jax.random.split(key)
            return model.decode(params, down, sample_layers(model, params, up, x)[-1])

        return jax.vmap(one)(keys, x)

    @jax.jit
    def sample(keys: jax.Array) -> jax.Array:
        return jax.vmap(jax.vmap(lambda key: model.sample(params, key)))(keys)

    decoded = decode(jax.random.split(key_posterior, len(x)))
    samples = sample(jax.random.split(key_prior, (NUM_ROWS, NUM_IMAGES)))
    return {
        "samples": Picture(
            np.asarray(samples), [], "Pixel probabilities of samples from the prior"
        ),
        "reconstructions": Picture(
            np.stack([x, decoded]),
            ["test image", "decoded"],
            "Test images, and pixel probabilities at a posterior sample",
        ),
    }


def _structured(
    model: Any, params: Any, key: jax.Array, x: jax.Array
) -> dict[str, Picture]:
    model = hardened(model)

    @jax.jit
    def complete(keys: jax.Array) -> jax.Array:
        def one(key: jax.Array, x: jax.Array) -> jax.Array:
            z = sample_layers(model, params, key, x)[-1]
            lower = jax.nn.sigmoid(model.lower_logits(params, z))
            return jnp.concatenate([x[: model.num_inputs], lower])

        return jax.vmap(jax.vmap(one), (0, None))(keys, x)

    completed = complete(jax.random.split(key, (NUM_ROWS, len(x))))
    return {
        "completions": Picture(
            np.concatenate([x[None], completed]),
            ["test image", *["completed"] * NUM_ROWS],
            "Test images, and pixel probabilities of their lower halves",
        )
    }


def _semi_supervised(
    model: Any, params: Any, key: jax.Array, x: jax.Array
) -> dict[str, Picture]:
    del x

    @jax.jit
    def sample(keys: jax.Array) -> jax.Array:
        def one(key: jax.Array, y: jax.Array) -> jax.Array:
            return model.generate(params, key, y)

        return jax.vmap(jax.vmap(one), (0, None))(keys, jnp.eye(NUM_LABELS))

    keys = jax.random.split(key, (NUM_ROWS, NUM_LABELS))
    return {
        "samples": Picture(
            np.asarray(sample(keys)),
            [],
            "Pixel probabilities of samples, a class a column",
        )
    }


_TASKS: dict[str, Callable[..., dict[str, Picture]]] = {
    "generative": _generative,
    "structured": _structured,
    "semi_supervised": _semi_supervised,
}
