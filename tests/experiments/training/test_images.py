"""Pixels of binary and of grey images, and bounds of them as metrics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.settings import Evaluation
from tests.experiments.helpers import init
from tests.experiments.training.problems import (
    BINARY,
    GREY,
    GREYS,
    PIXELS,
    make,
    step_keys,
    take_steps,
)
from tests.helpers.trees import assert_close


def test_binary_pixels_pass_through():
    got = make().pixels(jax.random.key(0), jnp.asarray(BINARY.train))
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, BINARY.train)


@pytest.mark.thorough
def test_grey_pixels_are_ones_with_their_intensity():
    task = make(dataset=GREY)
    num = 400_000
    rows = jnp.broadcast_to(jnp.asarray(GREYS), (num, PIXELS))
    got = np.asarray(task.pixels(jax.random.key(0), rows))
    assert set(np.unique(got)) == {0.0, 1.0}
    assert np.all(got[:, GREYS == 0] == 0.0)
    assert np.all(got[:, GREYS == 255] == 1.0)
    p = GREYS / 255.0
    inside = (p > 0) & (p < 1)
    error = np.sqrt(p * (1 - p) / num)
    # The fraction that lacks, 1 / 2^16, is far below it.
    assert np.all(4.5 * error[inside] < 0.1 * np.minimum(p, 1 - p)[inside] + 1e-3)
    assert np.all(np.abs(got.mean(axis=0) - p)[inside] < 4.5 * error[inside])
    correlation = np.corrcoef(got[:, inside].T) - np.eye(inside.sum())
    assert np.all(np.abs(correlation) < 4.5 / np.sqrt(num))


def test_grey_pixels_are_redrawn_at_every_step():
    """The gradient of the same rows changes with the pixel key of the step alone."""
    task = make(dataset=GREY)
    rows = jnp.asarray(GREY.train)
    draws = [np.asarray(task.pixels(step_keys(task, i)[0], rows)) for i in range(3)]
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[1], draws[2])
    state = init(task)
    loss = jax.jit(lambda x, key: task.loss(state.params, key, x, state.step))
    for count in (0, 1):
        at = state._replace(step=jnp.asarray(count))
        key_pixels, key = step_keys(task, count)
        expected = loss(task.pixels(key_pixels, rows[:2]), key)
        got = take_steps(task, at, jnp.array([[0, 1]]))[1]["loss"][0]
        assert_close(got, expected)


def test_the_model_is_centred_at_the_mean_intensity():
    np.testing.assert_allclose(
        make(dataset=GREY).network.pixel_mean, GREYS / 255.0, rtol=1e-6
    )
    np.testing.assert_allclose(
        make().network.pixel_mean, BINARY.train.mean(axis=0), rtol=1e-6
    )


def test_final_standard_errors_are_over_examples():
    task = make(evaluation=Evaluation(num_samples=5))
    state, _ = take_steps(task, init(task), jnp.array([[0, 1]]))
    rows = BINARY.train
    final = jax.jit(task.final_bounds)(state, {"test": rows})
    key = jax.random.split(stream(0, Stream.FINAL), 1)[0]
    bounds = jax.jit(lambda: task.bounds(state, key, rows, 5))()
    for name, values in bounds._asdict().items():
        values = np.asarray(values)
        assert_close(final[f"test_{name}"], values.mean())
        assert_close(
            final[f"test_{name}_se"], values.std(ddof=1) / np.sqrt(len(values)), 1e-4
        )
