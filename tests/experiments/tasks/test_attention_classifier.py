"""Classifiers under random masks: trained, frozen, kept, and never trained twice."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.data.load import load_dataset
from jaxdiscrete.experiments.data.settings import Data
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.networks import MLP, apply
from jaxdiscrete.experiments.tasks.attention import classifier, frozen
from jaxdiscrete.experiments.tasks.attention.network import AttentionNetwork
from jaxdiscrete.experiments.tasks.attention.settings import Classifier, Settings

SETTINGS = Classifier(hidden=(20, 10), num_epochs=30, batch_size=50, learning_rate=1e-2)
DIGITS = load_dataset(Data(name="digits", binarization="threshold"))
EXAMPLES = classifier.Examples(DIGITS.train, DIGITS.train_labels, 1.0)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDISCRETE_CACHE", str(tmp_path))
    return tmp_path


def recall(settings=SETTINGS, title="digits"):
    masks = AttentionNetwork(Settings(mask=(8, 8), predictor=settings), (8, 8), 10)
    return frozen.FrozenClassifiers(masks, EXAMPLES, title).predictor


def test_a_frozen_network_does_what_the_trained_one_does():
    """With statistics that are far from those at the start."""
    network = classifier.Network((5, 4), 3)
    x = jax.random.normal(jax.random.key(0), (7, 6))
    mlp = MLP((5, 4), 3, "relu")

    @jax.jit
    def trained():
        variables = network.init(jax.random.key(1), x, is_training=True)
        keys = iter(jax.random.split(jax.random.key(2), 20))
        variables = jax.tree.map(
            lambda v: v + jnp.abs(0.5 * jax.random.normal(next(keys), v.shape)),
            variables,
        )
        return variables, network.apply(variables, x, is_training=False)

    variables, expected = trained()
    frozen = classifier.freeze(variables)
    found = jax.jit(jax.vmap(lambda x: apply(mlp, frozen, x)))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert jax.tree.structure(frozen) == jax.tree.structure(
        mlp.init(jax.random.key(0), x[0])["params"]
    )


def test_training_normalises_by_the_batch_and_averages_as_keras_does():
    network = classifier.Network((2,), 2)
    x = jnp.array([[1.0, 0.0], [0.0, 3.0], [2.0, 2.0]])
    variables = network.init(jax.random.key(3), x, is_training=True)
    _, changed = network.apply(variables, x, is_training=True, mutable=["batch_stats"])
    kernel = np.asarray(variables["params"]["Dense_0"]["kernel"])
    h = np.maximum(np.asarray(x) @ kernel, 0.0)
    found = changed["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(found["mean"], 0.01 * h.mean(axis=0), rtol=1e-5)
    expected = 0.99 + 0.01 * h.var(axis=0)
    np.testing.assert_allclose(found["var"], expected, rtol=1e-5)


def test_it_is_trained_once_and_then_read(kept, monkeypatch):
    first = recall()
    assert first.loss.shape == first.accuracy.shape == (30,)
    assert first.loss[-1] < first.loss[0]
    assert first.accuracy[-1] > 0.6 > 0.4 > first.accuracy[0]
    history = first.history("predictor")
    assert history["predictor_loss_epoch_10"] == pytest.approx(first.loss[9])
    assert history["predictor_accuracy"] == pytest.approx(first.accuracy[-1])
    monkeypatch.setattr(frozen, "train", None)
    again = recall()
    jax.tree.map(np.testing.assert_array_equal, first, again)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"l2": 0.0}, {"adam_count": 9}, {"hidden": (20, 11)}]
)
def test_other_settings_are_another_classifier(kept, monkeypatch, change):
    asked = []

    def train(settings, *args):
        asked.append(settings)
        weights = {"output": {"kernel": np.zeros((2, 2)), "bias": np.zeros(2)}}
        return classifier.Trained(weights, np.zeros(1), np.zeros(1))

    monkeypatch.setattr(frozen, "train", train)
    other = dataclasses.replace(SETTINGS, **change)
    for settings in (SETTINGS, other, SETTINGS, other):
        recall(settings)
    recall(title="mnist")
    assert asked == [SETTINGS, other, SETTINGS]


def test_a_folder_that_cannot_be_written_is_found_before_training(
    tmp_path, monkeypatch
):
    path = tmp_path / "file"
    path.write_text("important")
    monkeypatch.setenv("JAXDISCRETE_CACHE", str(path))
    monkeypatch.setattr(frozen, "train", None)
    with pytest.raises(UsageError, match="Set JAXDISCRETE_CACHE to another"):
        recall()
    assert path.read_text() == "important"


def test_nothing_is_kept_of_a_training_that_was_cut(kept, monkeypatch):
    def train(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(frozen, "train", train)
    with pytest.raises(KeyboardInterrupt):
        recall()
    assert list(kept.iterdir()) == []
