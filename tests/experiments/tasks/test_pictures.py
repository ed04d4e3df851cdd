"""Pictures of trained models, and the probabilities in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.data.dataset import Dataset
from jaxdiscrete.experiments.estimators.score_function import Reinforce
from jaxdiscrete.experiments.output import figures
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.tasks.structured.settings import Settings as Structured
from jaxdiscrete.experiments.training.images import NUM_IMAGES, NUM_ROWS
from jaxdiscrete.experiments.training.settings import Config, Training
from tests.experiments.helpers import init, layered_task
from tests.experiments.oracles import (
    CASES,
    IMAGE,
    PIXEL_MEAN,
    enumerate_chains,
    network,
    parameters,
)
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased

ROWS = np.random.default_rng(0).integers(0, 2, (30, 8)).astype(np.uint8)
DATASET = Dataset(ROWS[:10], ROWS[10:15], ROWS[15:], (2, 4), False, *3 * (None,), "b")


def task_of(model):
    config = Config(model=model, training=Training(batch_size=2), estimator=Reinforce())
    return layered_task(config, DATASET)


def draw(model):
    task = task_of(model)
    return task.pictures(init(task))


@pytest.mark.parametrize(
    "model",
    daily(
        [Generative((3, 2), divergence="analytic")],
        [
            Generative((2,)),
            Generative((3, 2), divergence="analytic"),
            Generative((2,), num_classes=3),
        ],
    ),
)
def test_generative_models_show_samples_and_reconstructions(model, tmp_path):
    drawn = draw(model)
    assert set(drawn) == {"samples", "reconstructions"}
    samples, decoded = drawn["samples"].images, drawn["reconstructions"].images
    assert samples.shape == (NUM_ROWS, NUM_IMAGES, 8)
    assert decoded.shape == (2, NUM_IMAGES, 8)
    assert np.all((samples > 0) & (samples < 1))
    assert set(np.unique(decoded[0])) == {0.0, 1.0}
    assert {tuple(row) for row in decoded[0]} <= {tuple(row) for row in DATASET.test}
    assert np.all((decoded[1] > 0) & (decoded[1] < 1))
    assert len(np.unique(samples.reshape(-1, 8), axis=0)) > 1
    path = tmp_path / "samples.png"
    figures.save_picture(path, drawn["reconstructions"], DATASET.image_shape)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_structured_models_complete_the_upper_halves():
    (picture,) = draw(Structured((2, 2))).values()
    assert picture.images.shape == (1 + NUM_ROWS, NUM_IMAGES, 8)
    assert len(picture.labels) == len(picture.images)
    given = picture.images[0]
    for row in picture.images[1:]:
        np.testing.assert_array_equal(row[:, :4], given[:, :4])
        assert np.all((row[:, 4:] > 0) & (row[:, 4:] < 1))


def test_the_same_state_gives_the_same_pictures():
    task = task_of(Generative((2,)))
    state = init(task)
    pictures = [task.pictures(state).values() for _ in range(2)]
    for a, b in zip(*pictures, strict=True):
        np.testing.assert_array_equal(a.images, b.images)


@pytest.mark.parametrize(
    "which", daily(["two_layers"], ["one_layer", "two_layers", "categorical"])
)
def test_samples_have_the_marginals_of_the_model(which):
    """The mean of pixel probabilities against the sum over all images and states."""
    case = CASES[which]
    params, model = parameters(case), network(case)
    images = jnp.indices((2,) * len(PIXEL_MEAN)).reshape(len(PIXEL_MEAN), -1).T
    images = images.astype(jnp.float32)
    of_chains = jax.vmap(lambda x: enumerate_chains(case.model, params, x))
    _, log_p = jax.jit(of_chains)(images)
    mass = np.exp(np.asarray(log_p, np.float64)).sum(axis=1)
    assert mass.sum() == pytest.approx(1.0, abs=1e-5)
    keys = jax.random.split(jax.random.key(0), 100_000)
    got = jax.jit(jax.vmap(lambda key: model.sample(params, key)))(keys)
    assert_unbiased(got, mass @ np.asarray(images))


def test_decoding_starts_at_the_state_given():
    case = CASES["one_layer"]
    params, model = parameters(case), network(case)
    output = params["decoder"]["layer_0"]["output"]
    z = jnp.array([1.0, 0.0])
    expected = jax.nn.sigmoid((2 * z - 1) @ output["kernel"] + output["bias"])
    got = model.decode(params, jax.random.key(0), z)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert got.shape == IMAGE.shape
