"""The talk's example: estimators against an exact gradient."""

import json

import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.experiments import relaxation_study
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings import StudyConfig

CONFIG = StudyConfig(
    logits=(0.5, -0.5, 1.0, 0.0), temperatures=(0.2, 2.0), num_samples=20_000
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "cos"
    return relaxation_study.run(CONFIG, folder), folder


def rows(study, name):
    return {r["temperature"]: r for r in study["rows"] if r["estimator"] == name}


def test_exact_value_and_gradient_by_hand(study):
    weights = np.exp(np.array(CONFIG.logits))
    p = weights / weights.sum()
    cos = np.cos(np.arange(4))
    assert study[0]["exact_value"] == pytest.approx(p @ cos, abs=1e-6)
    gradient = p * (cos - p @ cos)
    np.testing.assert_allclose(study[0]["exact_gradient"], gradient, atol=1e-6)


def test_unbiased_estimators_agree_with_the_exact_gradient(study):
    exact = np.array(study[0]["exact_gradient"])
    checked = [row for row in study[0]["rows"] if row["is_unbiased"]]
    assert {row["estimator"] for row in checked} == relaxation_study.UNBIASED
    for row in checked:
        error = np.abs(np.array(row["gradient"]) - exact)
        assert (error < 4.5 * np.array(row["gradient_standard_error"])).all(), row


def test_gumbel_softmax_trades_bias_for_variance(study):
    low, high = (rows(study[0], "gumbel_softmax")[t] for t in (0.2, 2.0))
    noise = low["standard_error"] + high["standard_error"]
    assert low["bias"] + 5 * noise < high["bias"]
    assert low["log_variance"] > high["log_variance"] + 1.0


def test_straight_through_is_biased(study):
    (row,) = rows(study[0], "straight_through").values()
    assert row["bias"] > 10 * row["standard_error"]


def test_the_critical_temperature_is_among_them(study):
    critical = jd.critical_temperature(4)
    assert study[0]["critical_temperature"] == critical
    assert relaxation_study.temperatures(CONFIG) == [0.2, critical, 2.0]
    assert critical in rows(study[0], "rebar")


def test_files(study):
    result, folder = study
    assert json.loads((folder / "relaxation.json").read_text()) == result
    assert (folder / "relaxation.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_existing_folder_is_refused(study):
    with pytest.raises(UsageError, match="got an existing one"):
        relaxation_study.run(CONFIG, study[1])
