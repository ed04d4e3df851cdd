"""Glimpses of scenes: all sequences counted, outcomes, and bad settings."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.data.load import load_dataset
from jaxdiscrete.experiments.data.settings import Data
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.tasks.glimpses import task as glimpses
from jaxdiscrete.experiments.tasks.glimpses.evaluation import (
    mean_outcomes,
    share_of_ink,
)
from jaxdiscrete.experiments.tasks.glimpses.settings import ALLOWED, Settings
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import dataset, step
from jaxdiscrete.experiments.training.settings import Config, Evaluation, Training
from tests.experiments.helpers import init
from tests.experiments.tasks.helpers import train_in_two_parts, train_is_refused
from tests.helpers.trees import flat, flat_rows

DATA = Data(name="digits", binarization="none")
MODEL = Settings(
    canvas=(12, 10),
    num_fragments=2,
    fragment=3,
    grid=(1, 3),
    glimpse=4,
    num_glimpses=2,
    features=3,
    hidden=3,
)
K_SIGMA = 4.5
TINY = """
[data]
name = "digits"
binarization = "none"
[model]
task = "glimpses"
canvas = [12, 12]
num_fragments = 1
fragment = 3
grid = [2, 2]
glimpse = 4
num_glimpses = 2
features = 4
hidden = 4
[training]
num_steps = 4
batch_size = 20
steps_per_block = 2
blocks_per_checkpoint = 1
[evaluation]
num_samples = 2
num_examples = 20
num_test_examples = 30
[estimator]
name = "reinforce_loo"
"""


def make(name="reinforce", settings=None, **model):
    config = Config(
        data=DATA,
        model=dataclasses.replace(MODEL, **model),
        training=Training(batch_size=3),
        evaluation=Evaluation(num_examples=20, num_samples=2),
        estimator=ESTIMATORS[name](**(settings or {})),
    )
    check(config)
    return make_task(config)


def moved(params):
    """Parameters far from those of the start, where every choice is as likely."""
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(5), len(leaves))
    pairs = zip(leaves, keys, strict=True)
    return treedef.unflatten(
        [x + 0.7 * jax.random.normal(k, x.shape) for x, k in pairs]
    )


def scene(task):
    """One scene of the test images, and its label."""
    scenes, labels = task.held_out(task.dataset.test, task.dataset.test_labels, 1)
    return scenes.image[0], labels[0]


def enumerated(task, weights, image, label, stop=False):
    """The expected cost: every sequence of places, with its probability."""
    network, settings = task.network, task.settings
    places, num = network.places(image), settings.num_glimpses
    total = 0.0
    for sequence in itertools.product(range(len(places)), repeat=num):
        state, log_prob, costs = network.start(), 0.0, []
        for place in sequence:
            z = jax.nn.one_hot(place, len(places))
            log_prob += network.choose(weights, state).log_prob(z)
            state, log_p = network.read(weights, state, places, z)
            costs.append(-log_p[label])
        cost = costs[-1] if settings.cost == "last" else sum(costs) / num
        log_prob = jax.lax.stop_gradient(log_prob) if stop else log_prob
        total += jnp.exp(log_prob) * cost
    return total


NVIL = {"baseline_hidden": (3,), "centre": False, "normalize": False}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "settings", "cost", "num"),
    [
        ("nvil", NVIL, "every", 85_000),
        ("reinforce_loo", {"num_samples": 2}, "last", 110_000),
        ("reinforce_whole_sequence", {}, "every", 110_000),
        ("untrained", {}, "last", 240_000),
        ("reinforce", {}, "every", 80_000),
        ("relax", {}, "every", 80_000),
    ],
)
def test_sampled_glimpses_have_the_gradient_of_all_sequences(name, settings, cost, num):
    """Nine sequences of two glimpses at three places, against their enumeration."""
    task = make(name, settings, cost=cost)
    # Of a label that this network finds likely: a small cost, and little noise.
    image, label = scene(task)[0], jnp.asarray(0)
    params = jax.jit(lambda: step.init(task))().params
    # A baseline that nobody fitted adds noise, here not much.
    small = jax.tree.map(lambda x: 0.3 * x, params["control_variate"])
    params = {"model": moved(params["model"]), "control_variate": small}

    def expected(weights):
        return enumerated(task, weights, image, label, stop=name == "untrained")

    value, gradient = jax.jit(jax.value_and_grad(expected))(params["model"])
    batch = glimpses.Batch(image[None], label[None])

    @jax.jit
    @jax.vmap
    def sample(key):
        loss = jax.value_and_grad(task.loss)
        value, grads = loss(params, key, batch, jnp.asarray(0))
        return value, grads["model"]

    values, gradients = sample(jax.random.split(jax.random.key(0), num))
    rows = np.concatenate([values[:, None], flat_rows(gradients)], axis=1)
    exact = np.concatenate([np.asarray(value)[None], flat(gradient)])
    se = rows.std(axis=0, ddof=1) / np.sqrt(num)
    scale = np.linalg.norm(exact) / np.sqrt(exact.size)
    assert np.all(K_SIGMA * se < 0.05 * scale), f"underpowered: {se / scale}"
    error = np.abs(rows.mean(axis=0) - exact)
    assert np.all(error < K_SIGMA * se + 1e-6 * scale), f"z={error / se}"


def encoder_gradients(name, cost, num):
    """Of what chooses, in one scene, with the same glimpses for every name."""
    task = make(name, cost=cost)
    image, label = scene(task)
    batch = glimpses.Batch(image[None], label[None])
    params = init(task).params
    params = params | {"model": moved(params["model"])}

    def gradient(key):
        grads = jax.grad(task.loss)(params, key, batch, jnp.asarray(0))
        return grads["model"]["encoder"]

    keys = jax.random.split(jax.random.key(0), num)
    return flat_rows(jax.jit(jax.vmap(gradient))(keys))


@pytest.mark.thorough
def test_credit_of_the_whole_sequence_is_noisier_only_where_costs_come_on_the_way():
    """The second glimpse cannot change what the first one cost."""
    names = "reinforce", "reinforce_whole_sequence"
    to_go, whole = (encoder_gradients(name, "every", 2_000) for name in names)
    assert 1.2 * to_go.var(axis=0).sum() < whole.var(axis=0).sum()
    to_go, whole = (encoder_gradients(name, "last", 5) for name in names)
    np.testing.assert_allclose(to_go, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["gumbel_softmax", "straight_through_gumbel_softmax"])
def test_relaxed_glimpses_are_a_scan_of_mixtures(name):
    task = make(name, cost="every")
    image, label = scene(task)
    weights = moved(init(task).params["model"])
    network, is_hard = task.network, name.startswith("straight")

    def by_hand(weights, key):
        places, state, total = network.places(image), network.start(), 0.0
        for key_z in jax.random.split(key, 2):
            logits = network.choose(weights, state).logits
            z = jd.sample_gumbel_softmax(key_z, logits, 1.0, is_hard)
            state, log_p = network.read(weights, state, places, z)
            total -= log_p[label] / 2
        return total

    def loss(weights, key):
        params = {"model": weights, "control_variate": {"layer_0": {}}}
        return task.episodes.estimate(params, key, image, label, jnp.asarray(0))

    got, expected = (
        jax.jit(jax.value_and_grad(f))(weights, jax.random.key(3))
        for f in (loss, by_hand)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), got, expected
    )
    assert np.linalg.norm(flat(got[1]["encoder"])) > 1e-3


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - set(ALLOWED)))
def test_an_estimator_that_looks_at_f_elsewhere_is_refused(name):
    config = dataclasses.replace(make().config, estimator=ESTIMATORS[name]())
    with pytest.raises(UsageError, match=rf"estimator\.name among .* got {name} w"):
        check(config)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ALLOWED)
def test_every_estimator_that_is_allowed_has_a_loss(name):
    task = make(name)
    params = jax.eval_shape(lambda: step.init(task).params)
    batch = glimpses.Batch(jnp.zeros((1, 12, 10)), jnp.zeros(1, jnp.int32))
    grads = jax.eval_shape(
        jax.grad(task.loss), params, jax.random.key(0), batch, jnp.asarray(0)
    )
    assert "encoder" in grads["model"]


@pytest.mark.thorough
def test_all_places_are_as_likely_at_first_and_stay_so_untrained():
    task = make("untrained")
    state, data = init(task), task.data()
    q = task.network.choose(state.params["model"], jnp.ones(3))
    np.testing.assert_allclose(q.mean(), 1 / 3, rtol=1e-6)
    chosen = task.batches(jnp.asarray(0), 1, data)[0]
    new, _ = jax.jit(lambda state: step.step(task, state, chosen, data))(state)
    before, after = (s.params["model"] for s in (state, new))
    np.testing.assert_array_equal(flat(before["encoder"]), flat(after["encoder"]))
    assert not np.array_equal(flat(before["decoder"]), flat(after["decoder"]))


def test_ink_is_what_the_windows_show_of_the_digit():
    task = make()
    digit = np.zeros((12, 10), np.float32)
    digit[0, :4] = 0.5
    digit[11, 0] = 2.0
    z = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    share = share_of_ink(task.network, z, jnp.asarray(digit))
    assert share == pytest.approx(0.5)


@pytest.mark.thorough
def test_outcomes_are_those_of_the_last_glimpse():
    """With a network that always names the label 4, by NumPy."""
    task = make()
    weights = init(task).params["model"]
    output = weights["decoder"]["output"]
    bias = jnp.zeros(10).at[4].set(3.0)
    weights["decoder"]["output"] = {"kernel": 0.0 * output["kernel"], "bias": bias}
    scenes, labels = task.held_out(task.dataset.test, task.dataset.test_labels, 50)
    key = jax.random.key(0)
    outcome = mean_outcomes(task.network, weights, key, scenes, labels, 2)
    is_four = np.asarray(labels) == 4
    np.testing.assert_array_equal(outcome.is_right, is_four)
    log_p = np.where(is_four, 3.0, 0.0) - np.log(9.0 + np.exp(3.0))
    np.testing.assert_allclose(outcome.cross_entropy, -log_p, rtol=1e-5)
    assert (np.asarray(outcome.ink) <= 1.0).all()


@pytest.mark.thorough
def test_pictures_show_more_with_every_glimpse():
    task = make()
    (picture,) = task.pictures(init(task)).values()
    assert picture.labels == ["scene", "1 glimpse", "2 glimpses"]
    assert picture.images.shape == (3, 10, 120)
    whole, first, second = picture.images
    shown = [(rows == whole).sum(axis=1) for rows in (first, second)]
    assert (shown[0] >= 16).all()
    assert (shown[1] >= shown[0]).all()
    assert (picture.images >= 0.0).all()
    assert (picture.images <= 1.0).all()


@pytest.mark.thorough
def test_a_run_goes_on_where_it_was_cut(tmp_path):
    at_once, whole = train_in_two_parts(tmp_path, TINY)
    assert set(at_once) >= {"test_accuracy", "test_ink", "encoder_log_variance"}
    assert (whole / "glimpses.png").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_glimpses = 2", "num_glimpses = 0", "model.num_glimpses >= 1, got 0"),
        ("\nglimpse = 4", "\nglimpse = 13", "model.glimpse <= 12, a side of the canv"),
        ("grid = [2, 2]", "grid = [2, 10]", "at most 9 places along 12 pixels"),
        ("grid = [2, 2]", "grid = [2]", "model.grid to be two numbers, of rows and"),
        ("canvas = [12, 12]", "canvas = [12]", "model.canvas to be two numbers"),
        ("canvas = [12, 12]", "canvas = [12, 7]", "model.canvas >= 8 x 8, the size of"),
        ("\nfragment = 3", "\nfragment = 9", "model.fragment <= 8, a side of the ima"),
        ("fragments = 1", "fragments = -1", "model.num_fragments >= 0, got -1"),
        ('"none"', '"dynamic"', "leaves an image the same in every epoch"),
        ('binarization = "none"', "", "'none given'. Set it to 'none' for grey images"),
        ('"reinforce_loo"', '"rebar"', "for model.task = 'glimpses', got rebar with 1"),
        (
            'name = "reinforce_loo"',
            'name = "reinforce"\nnum_repeats = 2',
            "with num_repeats = 1, for model.task = 'glimpses', got reinforce with 2",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, old, new, message, capsys):
    assert old in TINY
    train_is_refused(tmp_path, TINY.replace(old, new, 1), message, capsys)


def test_data_that_are_absent_are_one_line(tmp_path, monkeypatch, capsys):
    """Before a run has a folder, and with no way to fetch them."""

    def refuse(info):
        raise UsageError(f"Expected the files of {info.name}, got none.")

    monkeypatch.setattr("jaxdiscrete.experiments.data.load.ensure_files", refuse)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.replace('"digits"', '"mnist"').replace("[12, 12]", "[40, 40]"))
    assert main(["train", str(path), "--output-dir", str(tmp_path / "run")]) == 2
    assert "Expected the files of mnist, got none." in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_labels_are_needed(monkeypatch):
    unlabelled = load_dataset(DATA)._replace(train_labels=None)
    monkeypatch.setattr(dataset, "load_dataset", lambda data: unlabelled)
    with pytest.raises(UsageError, match=r"a data set with labels .* digits, mnist or"):
        make()
