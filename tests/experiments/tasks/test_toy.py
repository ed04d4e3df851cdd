"""One Bernoulli variable, whose every expectation has a closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.settings.fields import constant
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.tasks.toy.settings import Settings
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.settings import Config, Optimizer, Training
from jaxdiscrete.experiments.training.task import at_config
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased

UNBIASED = {
    "reinforce": {},
    "reinforce_constant_baseline": {"baseline": 0.3},
    "nvil": {"normalize": False, "input_baseline": False},
    "reinforce_loo": {},
    "reinforce_optimal_baseline": {},
    "simple_muprop": {},
    "muprop": {},
    "rebar": {},
    "relax": {},
    "relax_rebar": {},
}


def config(name, *, rate, settings=None, num_steps=1, steps_per_block=1, **others):
    return Config(
        model=Settings(**others),
        optimizer=Optimizer(name="sgd", learning_rate=constant(rate), momentum=0.0),
        training=Training(
            num_steps=num_steps, batch_size=1, steps_per_block=steps_per_block
        ),
        estimator=ESTIMATORS[name](**(settings or {})),
    )


def train(config, num_seeds):
    """Metrics at the end of every block, with one entry per seed."""
    check(config)
    task = make_task(config)

    def block(seed, state):
        seeded = at_config(task, dataclasses.replace(config, seed=seed))
        state = step.init(seeded) if state is None else state
        return step.block(seeded, state, seeded.data())

    seeds, state, rows = config.seed + jnp.arange(num_seeds), None, []
    first = jax.jit(jax.vmap(lambda seed: block(seed, None)))
    following = jax.jit(jax.vmap(block))
    for _ in range(config.num_steps // config.training.steps_per_block):
        run = first(seeds) if state is None else following(seeds, state)
        state, _, metrics = run
        steps = {"step": int(state.step[0])}
        rows.append(steps | {k: np.asarray(v) for k, v in metrics.items()})
    return rows


def test_log_variance_of_reinforce_in_closed_form():
    """At theta = 1/2 the gradient is f(1) / 2 or -f(0) / 2: variance 1/64, ln -4.16."""
    target, num = 0.499, 1000
    (row,) = train(
        config("reinforce", rate=0.0, target=target, num_gradients=num), num_seeds=20
    )
    spread = ((1 - target) ** 2 + target**2) / 2
    expected = np.log(spread**2 / 4)
    assert expected == pytest.approx(-4.16, abs=0.01)
    np.testing.assert_array_equal(row["theta"], 0.5)
    # Of n draws with frequency p the variance is 4 p (1 - p) n / (n - 1) of this.
    below = expected + np.log1p(-(4.5**2) / num)
    assert all(below < v <= expected + 2 / num for v in row["log_variance"])
    assert len(set(row["log_variance"])) > 1


def test_the_exact_gradient_descends_the_loss():
    """The logit moves by minus the rate times theta (1 - theta) (1 - 2 t)."""
    rate, target, logit = 2.0, 0.3, 0.4
    settings = config(
        "exact",
        rate=rate,
        target=target,
        logit=logit,
        num_steps=20,
        steps_per_block=5,
        num_gradients=2,
    )
    rows = train(settings, num_seeds=2)
    assert [row["step"] for row in rows] == [5, 10, 15, 20]
    thetas = []
    for _ in range(20):
        theta = 1 / (1 + np.exp(-logit))
        logit -= rate * theta * (1 - theta) * (1 - 2 * target)
        thetas.append(1 / (1 + np.exp(-logit)))
    for row, theta in zip(rows, thetas[4::5], strict=True):
        np.testing.assert_allclose(row["theta"], theta, rtol=1e-5)
        loss = theta * (1 - target) ** 2 + (1 - theta) * target**2
        np.testing.assert_allclose(row["loss"], loss, rtol=1e-5)
        assert max(row["log_variance"]) < -60.0
    losses = [row["loss"][0] for row in rows]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("name", daily(["nvil"], UNBIASED))
def test_first_steps_go_down_the_exact_gradient_on_average(name):
    target, logit, rate = 0.1, 0.3, 0.5
    settings = config(
        name,
        rate=rate,
        settings=UNBIASED[name],
        target=target,
        logit=logit,
        num_gradients=2,
    )
    (row,) = train(settings, num_seeds=20_000)
    theta = np.asarray(row["theta"], np.float64)
    moved = np.log(theta / (1 - theta)) - logit
    start = 1 / (1 + np.exp(-logit))
    expected = -rate * start * (1 - start) * (1 - 2 * target)
    assert_unbiased(moved[:, None], np.array([expected]))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    daily(
        ["nvil"],
        ["rebar", "relax", "relax_rebar", "muprop", "nvil", "reinforce_loo"],
    ),
)
def test_training_finds_the_optimum(name):
    options = {"input_baseline": False} if name == "nvil" else {}
    settings = Config(
        model=Settings(target=0.2, num_gradients=200),
        optimizer=Optimizer(learning_rate=constant(0.05)),
        training=Training(num_steps=400, batch_size=1, steps_per_block=100),
        estimator=ESTIMATORS[name](**options),
    )
    rows = train(settings, num_seeds=3)
    for row in rows:
        assert len(row["theta"]) == 3
        loss = np.asarray(row["theta"]) * 0.8**2 + (1 - np.asarray(row["theta"])) * 0.04
        np.testing.assert_allclose(row["loss"], loss, rtol=1e-5)
    assert max(rows[-1]["theta"]) < 0.05


@pytest.mark.thorough
def test_seeds_are_runs_of_their_own():
    settings = config(
        "reinforce",
        rate=0.1,
        num_steps=10,
        steps_per_block=5,
        num_gradients=10,
    )
    together = train(settings, num_seeds=3)
    alone = train(dataclasses.replace(settings, seed=2), num_seeds=1)
    for a, b in zip(together, alone, strict=True):
        assert len(set(a["theta"])) == 3
        for key in ("theta", "loss", "log_variance"):
            np.testing.assert_allclose(a[key][2], b[key][0], rtol=1e-4)


def test_the_end_is_the_last_tenth_of_the_blocks():
    """Over rows in float64; rows before it do not count."""
    task = make_task(config("reinforce", rate=0.1))
    names = ("theta", "loss", "log_variance")
    rows = [dict.fromkeys(names, float(i)) for i in range(40)]
    final = task.final_metrics(None, rows)
    assert final == dict.fromkeys(names, 37.5)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("nvil", {}, "no baseline of the inputs.*in nvil"),
        ("rebar", {"baseline_hidden": (3,)}, "no baseline of the inputs.*in rebar"),
        ("vimco", {}, "estimator of an expectation .* got vimco"),
    ],
)
def test_what_one_variable_cannot_be_trained_with(name, settings, message):
    with pytest.raises(UsageError, match=message):
        check(config(name, rate=0.1, settings=settings))
