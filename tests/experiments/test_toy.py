"""One Bernoulli variable, whose every expectation has a closed form."""

import dataclasses

import numpy as np
import pytest

from jaxdiscrete.experiments import toy
from jaxdiscrete.experiments.estimators import ESTIMATORS
from jaxdiscrete.experiments.settings import Optimizer, ToyConfig, constant
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
}


def config(name, *, rate, settings=None, **others):
    sgd = Optimizer(name="sgd", learning_rate=constant(rate), momentum=0.0)
    estimator = ESTIMATORS[name].settings(name, **(settings or {}))
    return ToyConfig(optimizer=sgd, estimator=estimator, **others)


def test_log_variance_of_reinforce_in_closed_form():
    """At theta = 1/2 the gradient is f(1) / 2 or -f(0) / 2: variance 1/64, ln -4.16."""
    target, num = 0.499, 1000
    (row,) = toy.train(
        config(
            "reinforce",
            rate=0.0,
            target=target,
            num_steps=1,
            steps_per_point=1,
            num_variance_samples=num,
        ),
        num_seeds=20,
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
        steps_per_point=5,
        num_variance_samples=2,
    )
    rows = toy.train(settings, num_seeds=2)
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


@pytest.mark.parametrize("name", UNBIASED)
def test_first_steps_go_down_the_exact_gradient_on_average(name):
    target, logit, rate = 0.1, 0.3, 0.5
    settings = config(
        name,
        rate=rate,
        settings=UNBIASED[name],
        target=target,
        logit=logit,
        num_steps=1,
        steps_per_point=1,
        num_variance_samples=2,
    )
    (row,) = toy.train(settings, num_seeds=20_000)
    theta = np.asarray(row["theta"], np.float64)
    moved = np.log(theta / (1 - theta)) - logit
    start = 1 / (1 + np.exp(-logit))
    expected = -rate * start * (1 - start) * (1 - 2 * target)
    assert_unbiased(moved[:, None], np.array([expected]))


@pytest.mark.parametrize("name", ["rebar", "relax", "muprop", "nvil", "reinforce_loo"])
def test_training_finds_the_optimum(name):
    settings = ToyConfig(
        target=0.2,
        num_steps=400,
        steps_per_point=100,
        num_variance_samples=200,
        optimizer=Optimizer(learning_rate=constant(0.05)),
        estimator=ESTIMATORS[name].settings(
            name, **({"input_baseline": False} if name == "nvil" else {})
        ),
    )
    rows = toy.train(settings, num_seeds=3)
    for row in rows:
        assert len(row["theta"]) == 3
        loss = np.asarray(row["theta"]) * 0.8**2 + (1 - np.asarray(row["theta"])) * 0.04
        np.testing.assert_allclose(row["loss"], loss, rtol=1e-5)
    assert max(rows[-1]["theta"]) < 0.05


def test_seeds_are_runs_of_their_own():
    settings = config(
        "reinforce",
        rate=0.1,
        num_steps=10,
        steps_per_point=5,
        num_variance_samples=10,
    )
    together = toy.train(settings, num_seeds=3)
    alone = toy.train(dataclasses.replace(settings, seed=2), num_seeds=1)
    for a, b in zip(together, alone, strict=True):
        assert len(set(a["theta"])) == 3
        for key in ("theta", "loss", "log_variance"):
            np.testing.assert_allclose(a[key][2], b[key][0], rtol=1e-4)
