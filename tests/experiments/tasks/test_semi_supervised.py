"""The semi-supervised model: its gradient, its bound and its labels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.data.load import load_dataset
from jaxdiscrete.experiments.data.settings import Data
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.tasks.semi_supervised.settings import NUM_LABELS, Settings
from jaxdiscrete.experiments.tasks.semi_supervised.task import SemiSupervisedTask
from jaxdiscrete.experiments.training.settings import Config, Training
from tests.experiments.helpers import init
from tests.helpers.trees import flat, flat_rows

DIGITS = load_dataset(Data())
MODEL = Settings(channels=(2,), num_gaussian=2, num_labelled=20)
K_SIGMA = 4.5


def experiment(name="exact", dataset=DIGITS, **model):
    config = Config(
        model=dataclasses.replace(MODEL, **model),
        training=Training(batch_size=2),
        estimator=ESTIMATORS[name](),
    )
    check(config)
    return SemiSupervisedTask(config, dataset)


def parameters(run):
    """Initial parameters, with a classifier that is far from uniform."""
    state = init(run)
    head = state.params["model"]["encoder"]["class"]["Dense_0"]
    head["bias"] = jnp.linspace(-1.0, 1.0, NUM_LABELS)
    return state


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["reinforce_loo", "muprop", "rebar"])
def test_the_sampled_class_has_the_gradient_of_the_marginalised_one(name):
    """With one key for everything but the class, so that its noise is all there is."""
    exact, sampled = experiment("exact"), experiment(name)
    state, other = parameters(exact), parameters(sampled)
    x = jnp.asarray(DIGITS.test[:2], jnp.float32)

    def classifier(run, state, key):
        grads = jax.grad(run.loss)(state.params, key, x, state.step)
        return grads["model"]["encoder"]["class"]["Dense_0"]["bias"]

    keys = jax.random.split(jax.random.key(0), 20_000)

    @jax.jit
    def pair(key):
        return classifier(exact, state, key), classifier(sampled, other, key)

    expected, samples = jax.lax.map(pair, keys, batch_size=1000)
    expected, samples = flat_rows([expected]), flat_rows([samples])
    difference = samples - expected
    se = difference.std(axis=0, ddof=1) / np.sqrt(len(keys))
    scale = np.linalg.norm(expected.mean(axis=0)) / np.sqrt(NUM_LABELS)
    assert np.all(K_SIGMA * se < 0.05 * scale), f"underpowered: {se / scale}"
    error = np.abs(difference.mean(axis=0))
    assert np.all(error < K_SIGMA * se + 1e-6 * scale), f"z={error / se}"


def test_the_labelled_images_are_balanced_and_the_same_for_every_seed():
    run = experiment()
    images, labels = run.labelled
    assert np.bincount(labels).tolist() == [2] * NUM_LABELS
    other = dataclasses.replace(run, config=dataclasses.replace(run.config, seed=7))
    np.testing.assert_array_equal(images, other.labelled[0])
    for image, label in zip(images, labels, strict=True):
        same = (DIGITS.train == image).all(axis=1)
        assert label in DIGITS.train_labels[same]


@pytest.mark.thorough
def test_the_label_weight_scales_the_classifier_s_own_loss():
    """The loss is affine in the weight, with the mean of - log q(y | x) as slope."""
    losses = []
    for weight in (0.0, 1.0, 2.0):
        run = experiment(label_weight=weight)
        state = parameters(run)
        x = jnp.asarray(DIGITS.test[:2], jnp.float32)
        loss = jax.jit(run.loss)
        losses.append(loss(state.params, jax.random.key(1), x, state.step))
    slope = losses[1] - losses[0]
    assert slope > 0
    np.testing.assert_allclose(losses[2] - losses[1], slope, rtol=1e-4)


@pytest.mark.thorough
def test_more_samples_tighten_the_bound_and_the_accuracy_is_a_count():
    run = experiment()
    state = parameters(run)
    rows = jnp.asarray(DIGITS.test[:50])
    one, many = (
        jax.jit(run.bounds, static_argnums=3)(state, jax.random.key(0), rows, k)
        for k in (1, 50)
    )
    np.testing.assert_allclose(one.elbo, one.bound, rtol=1e-6)
    assert many.bound.mean() > many.elbo.mean()
    config = dataclasses.replace(
        run.config, evaluation=dataclasses.replace(run.config.evaluation, num_samples=2)
    )
    short = dataclasses.replace(run, config=config)
    final = jax.jit(short.final_bounds)(state, {"test": DIGITS.test})
    x = jnp.asarray(DIGITS.test, jnp.float32)
    logits = jax.vmap(lambda x: run.network.classify(state.params["model"], x).logits)(
        x
    )
    right = (np.argmax(logits, axis=1) == DIGITS.test_labels).mean()
    assert 0 < right < 1
    np.testing.assert_allclose(final["test_accuracy"], right, rtol=1e-6)
    assert flat(final).size == len(final)


def test_labels_are_needed():
    unlabelled = DIGITS._replace(train_labels=None)
    with pytest.raises(UsageError, match=r"a data set with labels .* mnist or fashion"):
        experiment(dataset=unlabelled)


@pytest.mark.parametrize("num_labelled", [15, 101])
def test_every_class_has_as_many_labels(num_labelled):
    with pytest.raises(UsageError, match=rf"multiple of 10, .* got {num_labelled}"):
        experiment(num_labelled=num_labelled)
