"""Sentences written for rewards: exact gradients, a game that is won, bad settings."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.commands.main import run as run_command
from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.data.settings import Data
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.language.discriminator import Discriminator
from jaxdiscrete.experiments.language.model import LanguageModel
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.tasks.text.episodes import Episodes
from jaxdiscrete.experiments.tasks.text.settings import Settings
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.settings import Config, Evaluation, Training
from jaxdiscrete.experiments.training.state import check_finite
from tests.helpers.statistics import assert_unbiased, map_in_chunks

MODEL = LanguageModel(num_words=3, num_steps=2, embedding=2, hidden=2, scale=1.0)
DISCRIMINATOR = Discriminator(num_words=3, embedding=2, hidden=2)
#: All sentences, with zeros behind their end.
SENTENCES = np.array([[0, 0], *([i, j] for i in (1, 2) for j in range(3))], np.int32)


def config(
    name="reinforce_loo", estimator=None, batch=64, data="agreement", **settings
):
    estimator = estimator or ({"num_samples": 4} if name == "reinforce_loo" else {})
    return Config(
        data=Data(data),
        model=Settings(**settings),
        training=Training(num_steps=10, batch_size=batch, steps_per_block=10),
        estimator=ESTIMATORS[name](**estimator),
    )


@pytest.fixture(scope="module")
def params():
    key_generator, key_discriminator, key_output = jax.random.split(
        jax.random.key(0), 3
    )
    judge = DISCRIMINATOR.init(key_discriminator)
    judge["bias"] = jnp.array([0.5, -1.0, 2.0])
    judge["output"] = 3.0 * jax.random.normal(key_output, judge["output"].shape)
    return {"generator": MODEL.init(key_generator), "discriminator": judge}


def expected_cost(params):
    """Minus the expected log-odds, over all sentences."""

    def one(sentence):
        counts = MODEL.counts(sentence)
        log_q = jnp.where(counts, MODEL.log_prob(params["generator"], sentence), 0.0)
        judge = jax.lax.stop_gradient(params["discriminator"])
        key = jax.random.key(0)
        log_odds = DISCRIMINATOR.log_odds(judge, key, sentence, counts)[-1]
        return jnp.exp(log_q.sum()) * -log_odds

    return jax.vmap(one)(jnp.asarray(SENTENCES)).sum()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("reinforce_loo", {"num_samples": 8}),
        ("nvil", {"normalize": False}),
        ("relax", {}),
    ],
)
def test_words_are_credited_with_the_log_odds_that_they_bring(params, name, options):
    """Along the exact gradient, and along the output's biases."""
    run = config(name, options, reward_clip=100.0)
    episodes = Episodes(run, MODEL, DISCRIMINATOR)
    inputs = jnp.zeros(4)
    from jaxdiscrete.experiments.estimators.base import LatentSpec

    latents = LatentSpec(jnp.zeros(3), (), inputs)
    cv = run.estimator.init(jax.random.key(2), latents)
    exact = jax.grad(expected_cost)(params)["generator"]

    def along(gradient):
        products = jax.tree.map(lambda a, b: jnp.sum(a * b), gradient, exact)
        return jnp.stack(
            [sum(jax.tree.leaves(products)), *gradient["output"]["bias"][:2]]
        )

    def sample(key):
        def cost(generator):
            at = params | {"generator": generator}
            return episodes.estimate(at, cv, key, jnp.asarray(0))[0]

        return along(jax.grad(cost)(params["generator"]))

    num = 100_000 if name == "reinforce_loo" else 400_000
    samples = map_in_chunks(sample, jax.random.split(jax.random.key(1), num))
    assert_unbiased(samples, along(exact))


def test_a_constant_reward_against_that_of_the_others_is_nothing(params):
    run = config("reinforce_loo", {"num_samples": 4}, reward="constant", discount=0.0)
    endless = dataclasses.replace(MODEL, ends=False)
    episodes = Episodes(run, endless, DISCRIMINATOR)

    def cost(generator):
        at = params | {"generator": generator}
        return episodes.estimate(at, {}, jax.random.key(0), jnp.asarray(0))[0]

    value, gradient = jax.jit(jax.value_and_grad(cost))(params["generator"])
    assert value == -1.0  # two words of 1/2
    for leaf in jax.tree.leaves(gradient):
        assert (leaf == 0).all()


@pytest.mark.thorough
def test_random_rewards_differ_from_sentence_to_sentence(params):
    """Rollouts that are compared with one another have rewards of their own."""
    run = config("reinforce_loo", {"num_samples": 16}, reward="random", discount=0.0)
    endless = dataclasses.replace(MODEL, ends=False)
    episodes = Episodes(run, endless, DISCRIMINATOR)

    def cost(generator, key):
        at = params | {"generator": generator}
        return episodes.estimate(at, {}, key, jnp.asarray(0))[0]

    keys = jax.random.split(jax.random.key(6), 500)
    each = jax.jit(jax.vmap(jax.value_and_grad(cost), (None, 0)))
    costs, gradient = each(params["generator"], keys)
    biases = np.asarray(gradient["output"]["bias"])
    error = biases.std(0) / 500**0.5
    assert (error > 1e-4).all()
    assert (abs(biases.mean(0)) < 4.5 * error).all()
    assert costs.std() > 0.02


def test_the_log_odds_are_the_sum_of_what_words_add(params):
    """One-hot words one by one, beside a whole sentence of numbers."""
    judge, sentence = params["discriminator"], jnp.array([2, 1])
    carry, total, sums = DISCRIMINATOR.start(), 0.0, []
    for word in sentence:
        carry, added = DISCRIMINATOR.judge(judge, carry, jax.nn.one_hot(word, 3))
        total += added
        sums.append(total)
    counts = jnp.ones(2, bool)
    found = DISCRIMINATOR.log_odds(judge, jax.random.key(0), sentence, counts)
    np.testing.assert_allclose(found, sums, rtol=1e-5)
    ended = DISCRIMINATOR.log_odds(
        judge, jax.random.key(0), sentence, jnp.array([True, False])
    )
    np.testing.assert_allclose(ended, [sums[0], sums[0]], rtol=1e-5)


@pytest.mark.parametrize("name", ["gumbel_softmax", "straight_through_gumbel_softmax"])
def test_relaxed_words_reach_the_generator_through_the_discriminator(params, name):
    episodes = Episodes(config(name, {}), MODEL, DISCRIMINATOR)

    def cost(params):
        return episodes.estimate(params, {}, jax.random.key(3), jnp.asarray(0))

    gradient, words = jax.jit(jax.grad(cost, has_aux=True))(params)
    assert words.shape == (1, 2)
    assert all((x == 0).all() for x in jax.tree.leaves(gradient["discriminator"]))
    for leaf in jax.tree.leaves(gradient["generator"]["output"]):
        assert np.isfinite(leaf).all()
        assert (leaf != 0).any()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_words": 0}, r"model\.num_words >= 3, got 0"),
        ({"max_words": 0}, r"model\.max_words >= 1, got 0"),
        ({"alphas": (2.0,)}, r"1\.0 among model\.alphas.*got \[2\.0\]\. Add it"),
        ({"name": "disarm"}, r"estimator\.name among reinforce, .*got 'disarm'"),
        (
            {"name": "gumbel_softmax", "reward": "random"},
            r"model\.reward = 'discriminator' with gumbel_softmax.*got 'random'",
        ),
        ({"batch": 30}, r"batch_size to be a multiple of estimator\.num_samples = 4"),
        ({"discriminator_dropout": 1.0}, r"discriminator_dropout < 1, got 1\.0"),
        ({"start_steps": 150}, r"start_steps to be a multiple of .* = 100, got 150"),
    ],
)
def test_settings_that_do_not_go_together(changes, expected):
    with pytest.raises(UsageError, match=expected):
        check(config(**changes))


def test_images_are_no_text():
    described = dataclasses.replace(config(), data=Data("agreement", "fixed"))
    with pytest.raises(
        UsageError, match=r"no data\.binarization with model\.task = 't"
    ):
        check(described)
    with pytest.raises(
        UsageError, match=r"set of text among agreement, .*got 'digits'"
    ):
        make_task(config(data="digits"))
    for changes, expected in (
        ({"num_words": 20}, r"model\.num_words = 21, as agreement has it, got 20"),
        ({"max_words": 9}, r"model\.max_words = 7, as agreement has it, got 9"),
        ({"data": "seqgan_oracle"}, r"model\.num_words = 5000, as seqgan_oracle has"),
        ({"batch": 4000}, r"training\.batch_size <= 2000.*got 4000"),
    ):
        with pytest.raises(UsageError, match=expected):
            make_task(config(**changes))


def test_a_missing_or_damaged_oracle_is_named(tmp_path, monkeypatch):
    from jaxdiscrete.experiments.data import download

    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path))
    monkeypatch.setattr(download, "_transfer", lambda *args: "no network")
    sizes = {"num_words": 5000, "max_words": 20}
    with pytest.raises(
        UsageError, match=r"embedding\.npz at one of its addresses, got"
    ):
        make_task(config(data="seqgan_oracle", **sizes))
    folder = tmp_path / "seqgan_oracle"
    for name in ("embedding", "wi"):
        (folder / f"{name}.npz").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"embedding\.npz as it was published, got a"):
        make_task(config(data="seqgan_oracle", **sizes))
    assert (folder / "embedding.npz").read_bytes() == b"mine"


def test_a_step_trains_generator_and_discriminator():
    """Both move, in one compiled step, and the block is judged."""
    run = config(
        "reinforce_loo",
        {"num_samples": 4},
        batch=4,
        embedding=2,
        hidden=2,
        discriminator_embedding=2,
        discriminator_hidden=2,
    )
    training = dataclasses.replace(run.training, num_steps=2, steps_per_block=2)
    evaluation = Evaluation(num_examples=4)
    task = make_task(dataclasses.replace(run, training=training, evaluation=evaluation))

    @jax.jit
    def block():
        begin = step.init(task)
        return begin, step.block(task, begin, task.data())

    begin, (state, checked, metrics) = block()
    check_finite(0, checked | {"metrics": sum(metrics.values())}, "")
    assert 0.0 <= metrics["discriminator_accuracy"] <= 1.0
    assert {"grammatical", "divergence", "log_variance"} < set(metrics)
    for part in ("generator", "discriminator"):
        moved = jax.tree.map(
            lambda a, b: bool((a != b).any()),
            begin.params["model"][part],
            state.params["model"][part],
        )
        assert any(jax.tree.leaves(moved)), part
    assert len(task.texts(state)["samples"]) == 12


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model.num-words", "0"], "Expected model.num_words >= 3, got 0"),
        (["--model.max-words", "0"], "Expected model.max_words >= 1, got 0"),
        (["--model.num-words", "9"], "Expected model.num_words = 21, as agreement"),
        (["--data.name", "digits"], "Expected a data set of text among agreement, "),
    ],
)
def test_the_command_line_says_it_in_one_line(options, expected, tmp_path, capsys):
    folder = tmp_path / "run"
    arguments = ["train", "text/agreement", "--output-dir", str(folder), *options]
    assert run_command(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jaxdiscrete: {expected}")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("coco", "text/image_coco.txt"),
        ("seqgan_oracle_random", "seqgan_oracle/embedding.npz"),
    ],
)
def test_damaged_files_are_one_line_and_stay(name, file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path))
    path, folder = tmp_path / file, tmp_path / "runs"
    path.parent.mkdir()
    path.write_bytes(b"a dog\n")
    arguments = ["reproduce", f"text/{name}", "--short", "--output-dir", str(folder)]
    assert run_command(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    expected = f"jaxdiscrete: Expected {path} as it was published, got a"
    assert line.startswith(expected)
    assert path.read_bytes() == b"a dog\n"
    assert not list(folder.rglob("config.json"))
