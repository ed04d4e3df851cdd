"""Masks of images: their gradient, their objective, and what cannot be used."""

import dataclasses
import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.data.dataset import shuffled_subset
from jaxdiscrete.experiments.data.load import load_dataset
from jaxdiscrete.experiments.data.settings import Data
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.settings.check import check_bounds
from jaxdiscrete.experiments.tasks.attention import frozen
from jaxdiscrete.experiments.tasks.attention import task as attention
from jaxdiscrete.experiments.tasks.attention.classifier import Trained
from jaxdiscrete.experiments.tasks.attention.evaluation import evaluate, summarise
from jaxdiscrete.experiments.tasks.attention.settings import Classifier, Settings
from jaxdiscrete.experiments.training import dataset
from jaxdiscrete.experiments.training.placement import ONE_DEVICE
from jaxdiscrete.experiments.training.settings import Config, Evaluation, Training
from jaxdiscrete.experiments.training.task import at_config
from tests.experiments.helpers import init
from tests.experiments.tasks.helpers import train_is_refused
from tests.helpers.trees import flat, flat_rows

FAST = Classifier(hidden=(6,), num_epochs=1, batch_size=500)
OTHER = dataclasses.replace(FAST, seed=1)
MODEL = Settings(hidden=(4,), mask=(2, 2), predictor=FAST, evaluator=OTHER)
DATA = Data(name="digits", binarization="none")
K_SIGMA = 4.5
TINY = """
[data]
name = "digits"
binarization = "none"
[model]
task = "attention"
hidden = [4]
mask = [2, 4]
[model.predictor]
hidden = [6]
num_epochs = 2
batch_size = 500
[model.evaluator]
hidden = [6]
num_epochs = 11
batch_size = 500
seed = 1
[training]
num_steps = 4
batch_size = 500
steps_per_block = 2
blocks_per_checkpoint = 1
[evaluation]
num_samples = 2
num_examples = 20
num_test_examples = 200
[estimator]
name = "rebar"
"""


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """An empty folder for what is trained once."""
    monkeypatch.setenv("JAXDISCRETE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def make(name="exact", **model):
    config = Config(
        data=DATA,
        model=dataclasses.replace(MODEL, **model),
        training=Training(batch_size=3),
        evaluation=Evaluation(num_examples=20, num_samples=2),
        estimator=ESTIMATORS[name](),
    )
    check_bounds(config, "")
    config.model.check(config)
    return attention.make(config, ONE_DEVICE)


def classifier(task, seed):
    """Weights of a classifier that nobody trained, far from indifferent."""
    x = jnp.zeros(math.prod(task.image_shape))
    network = task.network.frozen_classifier
    weights = network.init(jax.random.key(seed), x)["params"]
    return jax.tree.map(lambda w: 3.0 * w, weights)


def batch(task, num=3):
    rows = task.dataset.test[:num]
    labels = jnp.asarray(task.dataset.test_labels[:num])
    return attention.Batch(task.floats(jnp.asarray(rows)), labels, classifier(task, 7))


def test_a_mask_is_spread_over_the_image():
    network = make().network
    z = jnp.array([0.1, 0.2, 0.3, 0.4])
    spread = np.asarray(network.spread(z)).reshape(8, 8)
    np.testing.assert_allclose(spread[:4, :4], 0.1)
    np.testing.assert_allclose(spread[:4, 4:], 0.2)
    np.testing.assert_allclose(spread[4:, :4], 0.3)
    np.testing.assert_allclose(spread[4:, 4:], 0.4)


@pytest.mark.thorough
def test_the_loss_is_the_expected_one_of_all_masks():
    """By NumPy alone: sixteen masks, a softmax, a floor and a penalty."""
    task = make("exact", penalty=2.0, floor=0.05)
    state, examples = init(task), batch(task)
    loss = task.loss(state.params, jax.random.key(0), examples, state.step)
    total = 0.0
    for x, label in zip(*map(np.asarray, examples[:2]), strict=True):
        logits = np.asarray(task.network.choose(state.params["model"], x).logits)
        p = 1.0 / (1.0 + np.exp(-logits.astype(float)))
        total += 2.0 * p.mean()
        for z in itertools.product((0.0, 1.0), repeat=4):
            mask = np.kron(np.reshape(z, (2, 2)), np.ones((4, 4))).ravel()
            h = x * mask
            for name in ("Dense_0", "output"):
                layer = examples.predictor[name]
                h = h @ np.asarray(layer["kernel"], float) + np.asarray(layer["bias"])
                h = np.maximum(h, 0.0) if name == "Dense_0" else h
            share = np.exp(h[label] - h.max()) / np.exp(h - h.max()).sum()
            q = np.prod(np.where(np.array(z) == 1.0, p, 1.0 - p))
            total -= q * np.log(share + 0.05)
    np.testing.assert_allclose(loss, total / 3, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param(
            "rebar",
            {
                "temperature": 0.1,
                "conditional_noise": "independent",
                "train_temperature": False,
                "train_scale": False,
            },
            marks=pytest.mark.thorough,
        ),
        ("disarm", {}),
        ("reinforce_baseline_at_ones", {}),
        pytest.param("nvil", {"normalize": False}, marks=pytest.mark.thorough),
        pytest.param("relax", {}, marks=pytest.mark.thorough),
        pytest.param("reinforce_loo", {}, marks=pytest.mark.thorough),
    ],
)
def test_sampled_masks_have_the_gradient_of_all_masks(name, settings):
    exact, sampled = make("exact"), make(name)
    estimator = ESTIMATORS[name](**settings)
    config = dataclasses.replace(sampled.config, estimator=estimator)
    sampled = dataclasses.replace(sampled, config=config)
    state, other, examples = init(exact), init(sampled), batch(exact)

    def gradient(task, state, key):
        grads = jax.grad(task.loss)(state.params, key, examples, state.step)
        return grads["model"]["output"]["bias"]

    expected = flat(jax.jit(lambda: gradient(exact, state, jax.random.key(0)))())
    keys = jax.random.split(jax.random.key(1), 20_000)
    one = jax.jit(lambda key: gradient(sampled, other, key))
    samples = flat_rows([jax.lax.map(one, keys, batch_size=1000)])
    se = samples.std(axis=0, ddof=1) / np.sqrt(len(keys))
    scale = np.linalg.norm(expected) / np.sqrt(expected.size)
    assert np.all(K_SIGMA * se < 0.1 * scale), f"underpowered: {se / scale}"
    error = np.abs(samples.mean(axis=0) - expected)
    assert np.all(error < K_SIGMA * se + 1e-6 * scale), f"z={error / se}"


@pytest.mark.thorough
def test_the_variance_is_that_of_masks_at_given_parameters():
    """By enumeration: every image has sixteen masks of its own, independent of others.

    Moving averages would mix parameters, and batches would be part of the variance.
    """
    task = make("reinforce", num_gradients=20_000)
    weights = classifier(task, 7)
    task.classifiers.__dict__["predictor"] = Trained(weights, np.ones(1), np.ones(1))
    state = init(task)
    found = jax.jit(task.log_variances)(state._replace(step=jnp.asarray(9)))
    moved = jax.tree.map(lambda m: m + 3.0, state.moments)
    again = jax.jit(task.log_variances)(state._replace(step=9, moments=moved))
    assert found == again

    model, total = state.params["model"], 0.0
    rows = shuffled_subset(task.dataset.train, 3)
    labels = shuffled_subset(task.dataset.train_labels, 3)
    masks = jnp.array(list(itertools.product((0.0, 1.0), repeat=4)))
    for x, label in zip(task.floats(jnp.asarray(rows)), labels, strict=True):

        def of_mask(z, x=x, label=label):
            shown = x * task.network.spread(z)
            f = -task.network.log_prob(weights, shown, label)

            def log_q(params):
                return task.network.choose(params, x).log_prob(z).sum()

            value, score = jax.value_and_grad(log_q)(model)
            return jnp.exp(value), f * ravel_pytree(score)[0]

        probability, gradients = map(np.asarray, jax.jit(jax.vmap(of_mask))(masks))
        mean = probability @ gradients
        total += (probability @ (gradients - mean) ** 2).mean() / 3**2
    np.testing.assert_allclose(found["log_variance"], np.log(total), atol=0.04)


def test_the_log_probability_is_bounded_by_its_floor():
    task = make(floor=1e-5)
    weights = classifier(task, 0)
    weights["output"]["bias"] = jnp.array([100.0, *[0.0] * 9])
    x = jnp.zeros(64)
    assert task.network.log_prob(weights, x, 1) == pytest.approx(np.log(1e-5), rel=1e-5)
    assert task.network.log_prob(weights, x, 0) == pytest.approx(0.0, abs=2e-5)
    slope = jax.grad(lambda x: task.network.log_prob(weights, x, 1))(x)
    assert np.isfinite(slope).all()
    unbounded = make(floor=0.0).network.log_prob(weights, x, 1)
    assert unbounded == pytest.approx(-100.0, rel=1e-5)


def test_masks_that_show_everything_score_as_the_whole_image():
    task = make()
    predictor, evaluator = classifier(task, 1), classifier(task, 2)
    params = init(task).params["model"]
    params["output"]["bias"] = jnp.full(4, 50.0)
    x = task.floats(jnp.asarray(task.dataset.test))
    labels = task.dataset.test_labels
    args = (params, predictor, evaluator, jax.random.key(0), x, jnp.asarray(labels))
    found = summarise(evaluate(task.network, *args, 2), labels)

    def log_p(weights):
        return np.asarray(jax.vmap(lambda x: task.network.classify(weights, x))(x))

    right = {
        name: (log_p(weights).argmax(axis=1) == labels).mean()
        for name, weights in (("predictor", predictor), ("evaluator", evaluator))
    }
    of_label = np.exp(log_p(predictor)[np.arange(len(labels)), labels])
    assert found["test_share"] == pytest.approx(1.0)
    assert found["test_accuracy"] == pytest.approx(right["evaluator"])
    assert found["unmasked_accuracy"] == pytest.approx(right["predictor"])
    expected = np.log(of_label + 1e-5).mean() - 5.0
    assert found["test_objective"] == pytest.approx(expected, rel=1e-5)
    assert 0.0 < found["test_auprc"] < found["test_auroc"] < 1.0


def test_all_but_the_test_images_train():
    task, whole = make(), load_dataset(DATA)
    assert len(task.dataset.train) == 1500
    np.testing.assert_array_equal(task.dataset.train[1350:], whole.valid)
    np.testing.assert_array_equal(task.dataset.train_labels[1350:], whole.valid_labels)
    np.testing.assert_array_equal(task.dataset.test, whole.test)


def test_pictures_have_a_column_per_class(monkeypatch):
    task = make()
    (picture,) = task.pictures(init(task)).values()
    image, chance, mask, shown = picture.images
    assert picture.images.shape == (4, 10, 64)
    assert set(np.unique(mask)) <= {0.0, 1.0}
    assert ((chance > 0.0) & (chance < 1.0)).all()
    np.testing.assert_array_equal(shown, image * mask)
    for column, label in zip(image, range(10), strict=True):
        is_it = (task.dataset.test == np.rint(255 * column)).all(axis=1)
        assert label in task.dataset.test_labels[is_it]


@pytest.mark.thorough
def test_training_goes_on_where_it_was_cut(tmp_path, kept):
    """Both classifiers are trained once; a resumed run is the same as a whole one."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    half, whole = tmp_path / "half", tmp_path / "whole"
    train = ["train", str(path), "--output-dir"]
    assert main([*train, str(half), "--training.num-steps", "2"]) == 0
    files = {p: p.read_bytes() for p in kept.iterdir()}
    assert len(files) == 2
    assert main([*train, str(half), "--resume"]) == 0
    assert main([*train, str(whole)]) == 0
    assert {p: p.read_bytes() for p in kept.iterdir()} == files
    resumed, at_once = (
        json.loads((f / "summary.json").read_text())["metrics"] for f in (half, whole)
    )
    for metrics in (resumed, at_once):
        assert metrics.pop("steps_per_second") > 0
    assert resumed == at_once
    assert {"predictor_loss", "evaluator_loss_epoch_10"} <= set(at_once)
    assert "predictor_loss_epoch_10" not in at_once
    gap = at_once["objective"] - at_once["test_objective"]
    assert at_once["objective_gap"] == pytest.approx(gap)
    assert (whole / "masks.png").exists()
    for damaged in files:
        damaged.write_bytes(b"?")
        assert main([*train, str(whole), "--overwrite"]) == 2
        assert (whole / "summary.json").exists()
        damaged.write_bytes(files[damaged])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mask = [2, 4]", "mask = [16, 8]", "model.mask to divide the 8 x 8 pixels"),
        ("mask = [2, 4]", "mask = [3, 4]", "got 3 x 4. Choose a height and a width"),
        ("mask = [2, 4]", "mask = [8]", "model.mask to be a height and a width, got 1"),
        ("mask = [2, 4]", "mask = [0, 8]", "model.mask >= 1, got 0"),
        ('"none"', '"dynamic"', "leaves an image the same in every epoch"),
        ('binarization = "none"', "", "'none given'. Set it to 'none' for grey images"),
        ('name = "rebar"', 'name = "exact"', ""),
        ('name = "rebar"', 'name = "vimco"', "over binary variables"),
        ("seed = 1", "seed = 0", "model.evaluator.seed that is not model.predictor"),
        ("mask = [2, 4]", "num_gradients = 1", "model.num_gradients >= 2, got 1"),
        ("num_epochs = 2", "num_epochs = 0", "model.predictor.num_epochs >= 1"),
        ("num_epochs = 2", "epochs = 2", "the unknown key model.predictor.epochs"),
        (
            "num_epochs = 11\nbatch_size = 500",
            "num_epochs = 1\nbatch_size = 2000",
            "model.evaluator.batch_size <= 1500, the size of the training set",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, kept, old, new, message, capsys):
    assert old in TINY
    text = TINY.replace(old, new, 1)
    if not message:
        text = text.replace("mask = [2, 4]", "mask = [4, 4]")
        message = "at most 4096 masks with the exact estimator, got 2**16"
    train_is_refused(tmp_path, text, message, capsys)
    assert not kept.exists()


def test_labels_are_needed(monkeypatch):
    unlabelled = load_dataset(DATA)._replace(train_labels=None)
    monkeypatch.setattr(dataset, "load_dataset", lambda data: unlabelled)
    with pytest.raises(UsageError, match=r"a data set with labels .* digits, mnist or"):
        make()


def test_a_classifier_is_not_asked_before_its_turn(monkeypatch):
    """The evaluator has no part in training; a copy of the task asks for none again."""
    asked = []

    def train(settings, examples, masks, screen, title):
        asked.append(title)
        return Trained(classifier(task, len(title)), np.ones(1), np.ones(1))

    monkeypatch.setattr(frozen, "train", train)
    task = make()
    data = task.data()
    chosen = task.batches(jnp.asarray(0), 1, data)[0]
    state = init(task)
    examples = task.batch(jax.random.key(0), chosen, data)
    key = jax.random.key(0)
    jax.eval_shape(task.loss, state.params, key, examples, state.step)
    assert asked == ["predictor"]
    task = at_config(task, dataclasses.replace(task.config, seed=5))
    metrics = jax.eval_shape(task.metrics, state, jnp.zeros(1), data)
    assert set(metrics) >= {
        "share",
        "accuracy",
        "hard_objective",
    }
    row = {"loss": 1.0, "share": 0.5, "accuracy": 0.5, "log_variance": 0.0}
    task.final_metrics(state, [row])
    assert asked == ["predictor", "evaluator"]


def test_what_would_fail_at_the_end_fails_at_the_start(monkeypatch, kept):
    """A damaged evaluator, before minutes of training and before a folder is opened."""
    weights = {"output": {"kernel": np.zeros((64, 10)), "bias": np.zeros(10)}}
    trained = Trained(weights, np.ones(1), np.ones(1))
    monkeypatch.setattr(frozen, "train", lambda *args: trained)
    make().classifiers.evaluator  # noqa: B018
    (path,) = kept.iterdir()
    path.write_bytes(path.read_bytes() + b"?")
    with pytest.raises(UsageError, match=rf"{path}.*its checksum differs"):
        make()
    path.unlink()
    kept.rmdir()
    kept.write_text("important")
    with pytest.raises(UsageError, match="Set JAXDISCRETE_CACHE to another"):
        make()
    assert kept.read_text() == "important"
