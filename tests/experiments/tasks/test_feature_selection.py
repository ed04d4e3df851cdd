"""Feature selection: its problems, its gradient, its ceiling, and its ranks."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.settings.check import check_bounds
from jaxdiscrete.experiments.tasks.feature_selection import problems
from jaxdiscrete.experiments.tasks.feature_selection import task as selection
from jaxdiscrete.experiments.tasks.feature_selection.settings import Settings
from jaxdiscrete.experiments.training.placement import ONE_DEVICE
from jaxdiscrete.experiments.training.settings import Config, Evaluation, Training
from tests.experiments.helpers import init
from tests.experiments.tasks.helpers import train_in_two_parts, train_is_refused
from tests.helpers.trees import flat, flat_rows

MODEL = Settings(problem="switch", num_chosen=3, hidden=(4,), predictor_hidden=(5,))
K_SIGMA = 4.5
TINY = """
[model]
task = "feature_selection"
problem = "xor"
num_chosen = 2
hidden = [4]
predictor_hidden = [4]
[training]
num_steps = 4
batch_size = 10
steps_per_block = 2
blocks_per_checkpoint = 1
[evaluation]
num_samples = 1
num_examples = 20
num_test_examples = 30
[estimator]
name = "reinforce_loo"
"""


def make(name="exact", **model):
    config = Config(
        model=dataclasses.replace(MODEL, **model),
        training=Training(batch_size=3),
        evaluation=Evaluation(num_examples=20, num_test_examples=500),
        estimator=ESTIMATORS[name](),
    )
    check_bounds(config, "")
    config.model.check(config)
    return selection.make(config, ONE_DEVICE)


def label(problem, row):
    """Log-odds of one row, by the formulas of the paper."""
    if problem == "xor":
        return row[0] * row[1]
    if problem == "orange_skin":
        return sum(v * v for v in row[:4]) - 4.0
    if problem == "additive":
        rest = abs(row[1]) + row[2] + np.exp(-row[3]) - 2.4
        return -100.0 * np.sin(0.2 * row[0]) + rest
    if row[9] > 0:
        return label("orange_skin", row)
    return label("additive", row[4:8])


@pytest.mark.parametrize("problem", ["xor", "orange_skin", "additive", "switch"])
def test_labels_depend_on_what_matters_and_on_nothing_else(problem):
    rows = problems.draw(problem, jax.random.key(0), 20_000)
    x, logit, matters = (np.asarray(part) for part in rows)
    far = np.abs(x[:, 9]) > 1.5 if problem == "switch" else np.full(len(x), True)
    assert far.mean() > 0.9
    expected = np.array([label(problem, row) for row in x[:500].astype(float)])
    near = far[:500]
    np.testing.assert_allclose(logit[:500][near], expected[near], rtol=1e-4, atol=1e-4)
    size = {"xor": 2, "orange_skin": 4, "additive": 4, "switch": 5}[problem]
    assert (matters.sum(axis=1) == size).all()
    if problem == "switch":
        assert matters[:, 9].all()
        assert abs(matters[:, 0].mean() - 0.5) < K_SIGMA * 0.5 / np.sqrt(len(x))
        assert abs(np.abs(x[:, 9]).mean() - 3.0) < 0.05
        np.testing.assert_array_equal(matters[:, 0], ~matters[:, 4])
    for column in x.T[:9]:
        assert stats.kstest(column, "norm").pvalue > 1e-4


def test_the_cross_entropy_is_least_at_the_label_itself():
    logit = jnp.array([-80.0, -2.0, 0.0, 0.5, 80.0])
    p = 1.0 / (1.0 + np.exp(-np.asarray(logit, float)))
    expected = [0.0 if q in (0.0, 1.0) else stats.bernoulli(q).entropy() for q in p]
    np.testing.assert_allclose(problems.entropy(logit), expected, atol=1e-6)
    for shift in (-0.3, 0.3):
        other = problems.cross_entropy(logit, logit + shift)
        assert (other - problems.entropy(logit) > -1e-6).all()
        assert (other - problems.entropy(logit))[1:4].min() > 1e-3
    slope = jax.grad(lambda t: problems.cross_entropy(logit, logit + t).sum())(0.0)
    np.testing.assert_allclose(slope, 0.0, atol=1e-5)


def test_the_loss_is_the_expected_one_of_all_subsets():
    """By enumeration of ordered draws, which the library does not do."""
    task = make("exact", l2=0.01)
    state, rows = init(task), task.batch(jax.random.key(5), jnp.zeros(0), ())
    network, params = task.network, state.params["model"]
    total = 0.0
    losses = jax.jit(
        lambda x, logit, z: jax.vmap(
            lambda z: problems.cross_entropy(logit, network.predict(params, x, z))
        )(z)
    )
    for x, logit in zip(rows.x, rows.logit, strict=True):
        pi = np.asarray(jax.nn.softmax(network.choose(params, x).logits), float)
        weights: dict[tuple[float, ...], float] = {}
        for items in itertools.permutations(range(10), 3):
            left, q = 1.0, 1.0
            for i in items:
                q *= pi[i] / left
                left -= pi[i]
            z = np.zeros(10, np.float32)
            z[list(items)] = 1.0
            weights[tuple(z)] = weights.get(tuple(z), 0.0) + q
        found = losses(x, logit, jnp.array(list(weights)))
        total += float(np.dot(list(weights.values()), np.asarray(found, float)))
    loss = jax.jit(task.loss)(state.params, jax.random.key(0), rows, state.step)
    squares = sum(
        float((np.asarray(layer["kernel"], float) ** 2).sum())
        for name, layer in (*params["encoder"].items(), *params["decoder"].items())
        if layer is not params["encoder"]["output"]
    )
    np.testing.assert_allclose(loss, total / 3 + 0.01 * squares, rtol=1e-4)


@pytest.mark.thorough
def test_sampled_subsets_have_the_gradient_of_all_subsets():
    """Of what chooses and of what sees."""
    exact, sampled = make("exact"), make("reinforce_loo")
    state = init(exact)
    rows = exact.batch(jax.random.key(5), jnp.zeros(0), ())

    def gradient(task, key):
        grads = jax.grad(task.loss)(state.params, key, rows, state.step)["model"]
        return [grads[part]["output"]["bias"] for part in ("encoder", "decoder")]

    expected = flat(jax.jit(lambda: gradient(exact, jax.random.key(0)))())
    keys = jax.random.split(jax.random.key(1), 40_000)
    one = jax.jit(lambda key: gradient(sampled, key))
    samples = flat_rows(jax.lax.map(one, keys, batch_size=1000))
    se = samples.std(axis=0, ddof=1) / np.sqrt(len(keys))
    scale = np.linalg.norm(expected) / np.sqrt(expected.size)
    assert np.all(K_SIGMA * se < 0.1 * scale), f"underpowered: {se / scale}"
    error = np.abs(samples.mean(axis=0) - expected)
    assert np.all(error < K_SIGMA * se + 1e-6 * scale), f"z={error / se}"


def test_ranks_begin_at_one_with_the_largest_score():
    scores = jnp.array([0.3, 5.0, -1.0, 2.0])
    for matters, expected in (
        ([False, True, False, True], 1.5),
        ([True, False, True, False], 3.5),
        ([True, True, False, True], 2.0),
    ):
        assert selection.median_rank(scores, jnp.array(matters)) == expected


def test_a_network_that_knows_the_answer_has_no_excess():
    """The right features, a predictor that is the label itself: all is at its best."""
    task = make("reinforce_loo", problem="xor", num_chosen=2)

    class Oracle:
        def choose(self, params, x):
            logits = jnp.where(jnp.arange(10) < 2, 9.0, 0.0)
            return dataclasses.replace(network.choose(params, x), logits=logits)

        def predict(self, params, x, z):
            return (x * z)[0] * (x * z)[1]

    network = task.network
    task.__dict__["network"] = Oracle()
    row = dict.fromkeys(("loss", "log_variance", "encoder_log_variance"), 0.0)
    state = init(make("reinforce_loo", problem="xor", num_chosen=2))
    final = task.final_metrics(state, [row])
    assert final["excess"] == pytest.approx(0.0, abs=1e-6)
    assert final["median_rank"] == 1.5
    assert final["test_cross_entropy"] == pytest.approx(final["entropy"], abs=1e-6)
    assert abs(final["mismatch"]) < 0.01


@pytest.mark.thorough
def test_a_run_goes_on_where_it_was_cut(tmp_path):
    at_once, whole = train_in_two_parts(tmp_path, TINY)
    assert set(at_once) >= {"excess", "median_rank", "mismatch", "encoder_log_variance"}
    assert (whole / "chosen.png").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_chosen = 2", "num_chosen = 11", "model.num_chosen <= 10, the number of"),
        ("num_chosen = 2", "num_chosen = 0", "model.num_chosen >= 1, got 0"),
        ('"xor"', '"and"', "model.problem among xor, orange_skin, additive, switch"),
        ('"reinforce_loo"', '"disarm"', "over subsets with model.task"),
        ('"reinforce_loo"', '"rebar"', "got rebar, which is for distributions that"),
        ('"reinforce_loo"', '"vimco"', "over subsets with model.task"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, old, new, message, capsys):
    assert old in TINY
    train_is_refused(tmp_path, TINY.replace(old, new, 1), message, capsys)
