"""Variances along one trajectory against the driver's own training."""

import dataclasses

import jax
import numpy as np
import pytest
from rich.console import Console

from jaxdiscrete.experiments.data.dataset import Dataset
from jaxdiscrete.experiments.errors import RunError, UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.records import SharedTrajectory
from jaxdiscrete.experiments.runs import train, trajectory
from jaxdiscrete.experiments.settings.fields import constant
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.settings import (
    Config,
    Evaluation,
    Optimizer,
    Training,
)
from tests.experiments.helpers import init, layered_task

ROWS = np.random.default_rng(1).integers(0, 2, (30, 6)).astype(np.uint8)
DATASET = Dataset(ROWS[:20], ROWS[20:25], ROWS[25:], (2, 3), False, *3 * (None,), "b")
SILENT = Console(quiet=True)
#: Those of a model with an encoder.
METRICS = ("log_variance", "encoder_log_variance")


@pytest.fixture(autouse=True)
def tiny_data(monkeypatch):
    for module in (train, trajectory):
        tiny = lambda c, *_: layered_task(c, DATASET)  # noqa: E731
        monkeypatch.setattr(module, "make_task", tiny)


def config(name, **settings):
    return Config(
        seed=3,
        model=Generative((2,)),
        training=Training(num_steps=40, batch_size=4, steps_per_block=20),
        evaluation=Evaluation(num_examples=5),
        estimator=ESTIMATORS[name](**settings),
    )


def measure(configs, driver, num_steps=40, num_seeds=1):
    return trajectory.measure(configs, driver, num_steps, num_seeds, SILENT)


def training_log(config, blocks=2):
    """The driver's metrics when it trains alone."""
    task = layered_task(config, DATASET)
    state, rows, data = init(task), [], task.data()
    block = jax.jit(lambda state: step.block(task, state, data))
    for _ in range(blocks):
        state, _, metrics = block(state)
        rows.append({k: float(metrics[k]) for k in METRICS})
    return rows


@pytest.mark.thorough
@pytest.mark.parametrize(
    "followers", [("first", "last"), ()], ids=["followed", "alone"]
)
def test_followers_do_not_move_the_driver(followers):
    """Its variance is that of a plain run of the same seed, whoever follows."""
    settings = {"first": ("nvil", {"baseline_hidden": (3,)}), "last": ("reinforce", {})}
    configs = {"lead": config("rebar")}
    for follower in followers:
        name, options = settings[follower]
        configs[follower] = config(name, **options)
    expected = training_log(configs["lead"])
    measured = measure(configs, "lead")
    assert measured.driver == "lead"
    assert measured.steps == 40
    assert measured.seeds == (3,)
    assert measured.curve_steps == (20, 40)
    np.testing.assert_allclose(
        measured.log_variance["lead"],
        [row["log_variance"] for row in expected],
        rtol=1e-4,
    )
    for metric in METRICS:
        got = measured.runs["lead"].metrics[metric]
        assert got.mean == pytest.approx(expected[-1][metric], rel=1e-4)
        assert got.standard_error is None
    assert set(measured.runs) == set(measured.log_variance) == set(configs)
    driver = measured.runs["lead"].metrics["log_variance"].mean
    for follower in followers:
        assert measured.runs[follower].metrics["log_variance"].mean != driver


@pytest.mark.thorough
def test_a_twin_of_the_driver_has_its_variance_and_other_noise():
    """Over seeds the differences are zero on average, and never zero."""
    configs = {"lead": config("reinforce"), "twin": config("reinforce")}
    num_seeds = 6
    measured = measure(configs, "lead", 200, num_seeds)
    assert measured.seeds == tuple(range(3, 9))
    for metric in METRICS:
        lead, twin = (
            np.array(measured.runs[name].metrics[metric].values) for name in configs
        )
        difference = twin - lead
        assert np.all(difference != 0.0)
        se = difference.std(ddof=1) / np.sqrt(num_seeds)
        assert 4.5 * se < 0.25
        assert abs(difference.mean()) < 4.5 * se
        error = measured.runs["twin"].metrics[metric].standard_error
        assert error == pytest.approx(twin.std(ddof=1) / np.sqrt(num_seeds))


@pytest.mark.thorough
def test_calls_of_f_are_counted_in():
    configs = {
        "one": config("reinforce"),
        "four": config("reinforce_loo", num_samples=4),
    }
    runs = measure(configs, "one", 20).runs
    assert [runs[n].calls_of_f for n in configs] == [1, 4]
    for run in runs.values():
        expected = run.metrics["log_variance"].mean + np.log(run.calls_of_f)
        got = run.metrics["log_variance_times_calls"].mean
        assert got == pytest.approx(expected)


@pytest.mark.thorough
def test_followers_train_control_variates_of_their_own():
    """With a rate of its own, a follower's scale leaves its start."""
    start = config("muprop", value_scale=5.0, linear_scale=5.0)
    fast = Optimizer(learning_rate=constant(1e-3), control_variate_factor=300.0)
    slow = Optimizer(learning_rate=constant(1e-3), control_variate_factor=1e-6)
    logs = {}
    for name, optimizer in {"fast": fast, "slow": slow}.items():
        configs = {
            "lead": dataclasses.replace(config("reinforce"), optimizer=optimizer),
            "follower": dataclasses.replace(start, optimizer=optimizer),
        }
        logs[name] = measure(configs, "lead", 400).runs["follower"].metrics
    fast, slow = (logs[n]["encoder_log_variance"].mean for n in ("fast", "slow"))
    assert fast < slow - 0.5


def test_lengths_are_rounded_up_to_blocks():
    assert measure({"lead": config("reinforce")}, "lead", 21).steps == 40


def test_compare_checks_settings_and_writes_its_result(tmp_path):
    configs = {"lead": config("reinforce"), "other": config("mean_field")}
    folder = tmp_path / "shared"
    measured = trajectory.compare(configs, "lead", 1, folder, SILENT)
    assert codec.read(folder / "trajectory.json", SharedTrajectory) == measured
    with pytest.raises(UsageError, match="got an existing one"):
        trajectory.compare(configs, "lead", 1, folder, SILENT)
    configs["other"] = dataclasses.replace(configs["other"], seed=9)
    with pytest.raises(UsageError, match="Expected seed = 3 in every"):
        trajectory.compare(configs, "lead", 1, tmp_path / "new", SILENT)
    assert not (tmp_path / "new").exists()


def test_a_driver_that_diverges_stops():
    huge = Optimizer(name="sgd", learning_rate=constant(1e38))
    lead = dataclasses.replace(config("reinforce"), optimizer=huge)
    with pytest.raises(RunError, match=r"at step 1\. Lower optimizer"):
        measure({"lead": lead}, "lead")
