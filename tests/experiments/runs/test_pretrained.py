"""Models that are trained once: found again, resumed, and begun with."""

import dataclasses
import io

import jax
import numpy as np
import pytest
from rich.console import Console

from jaxdiscrete.experiments.data.settings import Data
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.runs import pretrained
from jaxdiscrete.experiments.runs.train import prepare, train_or_continue
from jaxdiscrete.experiments.tasks.text.settings import Settings
from jaxdiscrete.experiments.training import checkpoints
from jaxdiscrete.experiments.training.settings import Config, Evaluation, Training

CONFIG = Config(
    data=Data("agreement"),
    model=Settings(embedding=4, hidden=4, start_steps=4, start_block=2),
    training=Training(num_steps=2, batch_size=4, steps_per_block=2),
    evaluation=Evaluation(num_examples=4, num_test_examples=4),
    estimator=ESTIMATORS["reinforce_loo"](num_samples=4),
)
START = CONFIG.model.start(CONFIG)


@pytest.fixture
def screen():
    return Console(file=io.StringIO())


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDISCRETE_CACHE", str(tmp_path / "models"))
    return tmp_path / "models"


def refuse(*args):
    raise AssertionError("trained again")


@pytest.mark.thorough
def test_a_model_is_trained_once_and_survives_being_killed(models, screen, monkeypatch):
    """A process that dies behind a checkpoint loses nothing of what came before."""
    whole, _ = pretrained.find_or_train(START, screen, train_or_continue)
    place = pretrained.run_folder(START)
    assert place.parent == models
    found, summary = pretrained.find_or_train(START, screen, refuse)
    assert summary.steps == 4
    assert {"grammatical", "divergence"} < set(summary.metrics)

    monkeypatch.setenv("JAXDISCRETE_CACHE", str(models / "again"))
    original = checkpoints.save

    def save_and_die(folder, state):
        original(folder, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            pretrained.find_or_train(START, screen, train_or_continue)
    assert pretrained.finished(pretrained.run_folder(START), START) is None
    resumed, summary = pretrained.find_or_train(START, screen, train_or_continue)
    assert summary.steps == 4
    for other in (found, resumed):
        jax.tree.map(np.testing.assert_array_equal, whole, other)

    task = prepare(CONFIG, screen)
    begun = task.init(jax.random.key(5))["generator"]
    jax.tree.map(np.testing.assert_array_equal, begun, whole["generator"])


def test_other_settings_are_another_model(models):
    other = dataclasses.replace(START, seed=1)
    assert pretrained.run_folder(other) != pretrained.run_folder(START)
    assert START.model.start(START) is None
    scratch = dataclasses.replace(CONFIG.model, start_steps=0)
    assert scratch.start(CONFIG) is None
    # What does not change the start finds the same one.
    seeded = dataclasses.replace(CONFIG, seed=7)
    assert seeded.model.start(seeded) == START


def test_a_folder_that_takes_nothing(tmp_path, monkeypatch, screen):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("JAXDISCRETE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"computed once at .*Set JAXDISCRETE_CACHE"):
        pretrained.find_or_train(START, screen, refuse)
    assert (tmp_path / "file").read_text() == "mine"
