"""Configuration files: what is read, and the runs of one."""

import dataclasses
import re
import subprocess
import sys

import pytest

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.config.load import load_experiment, load_runs
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.score_function import Reinforce
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.tasks.toy.settings import Settings as Toy
from jaxdiscrete.experiments.training.settings import Config
from tests.experiments.config.files import RUNS, TOY
from tests.experiments.helpers import load_config

DEFAULT = Config(model=Generative(), estimator=Reinforce())


def test_what_is_left_out_has_its_default(write):
    assert load_config(write("")) == DEFAULT


def test_reading_a_file_computes_nothing_and_imports_no_network():
    """In a process of its own, for all files that come along."""
    code = """
import pathlib, sys
import jax
from jaxdiscrete.experiments.config import load, shipped
for path in shipped.CONFIGS.rglob("*.toml"):
    text = path.read_text()
    experiment = load.load_experiment(path) if "[claim]" in text else None
    runs = load.load_runs(path) if "[grid]" not in text else {}
    assert runs or experiment.grid.runs
imported = {"flax", "orbax", "matplotlib", "sklearn"} & set(sys.modules)
assert not imported, imported
# Processes can still be joined, which no backend survives.
jax.config.update("jax_platforms", "nowhere")
try:
    jax.devices()
except RuntimeError:
    sys.exit(0)
sys.exit("there is a backend already")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_and_unreadable_files(tmp_path, write):
    for load in (load_runs, load_experiment):
        with pytest.raises(UsageError, match="got no such file"):
            load(tmp_path / "absent.toml")
        with pytest.raises(UsageError, match=r"Expected TOML in .*line 1"):
            load(write("seed = = 1"))
        with pytest.raises(UsageError, match="readable text file"):
            load(tmp_path)
        path = tmp_path / "binary.toml"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UsageError, match="readable text file"):
            load(path)


def test_settings_from_the_command_line_are_checked_too():
    config = dataclasses.replace(DEFAULT, seed=-1)
    with pytest.raises(UsageError, match="Expected seed >= 0, got -1"):
        check(config)


def test_runs_share_all_but_their_estimator(write):
    path = write("seed = 3\n" + RUNS)
    runs = load_runs(path)
    assert list(runs) == ["plain", "controlled"]
    assert runs["controlled"].estimator.scale == 0.5
    assert all(config.seed == 3 for config in runs.values())
    experiment = load_experiment(path)
    assert experiment.runs == runs
    assert experiment.claim.title == "Two runs"
    assert experiment.short.num_steps == 500


def test_a_file_with_one_estimator_is_one_run_of_its_name(write):
    assert load_runs(write("seed = 3")) == {"run": dataclasses.replace(DEFAULT, seed=3)}


def test_the_claim_of_a_file_does_not_matter_to_its_runs(write):
    assert load_runs(write(RUNS.replace('"Two runs"', "3")))


def test_a_toy_is_a_run_like_others(write):
    path = write(TOY)
    runs = load_runs(path)
    assert runs == {"plain": dataclasses.replace(DEFAULT, model=Toy(target=0.4))}
    assert load_experiment(path).runs == runs


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 0", f"seed = {2**63}", "seed <= 2147483647, since JAX counts in 32"),
        ("seed = 0", "seed = " + "1" * 5000, "a number of thousands of digits"),
        ("seed = 0", "seed = 1" + "0" * 400, "32 bits, got more. Correct"),
        ("seed = 0", "seed = " + "[" * 2000 + "]" * 2000, "nested hundreds of times"),
        ("[1]", f"[{10**10}]", "model.num_latents <= 2147483647"),
        ("= 1e-3", "= 1" + "0" * 400, "learning_rate in the range of a float"),
        ("= 1e-3", "= 1e-320", "learning_rate in the range of float32"),
        ("= 0.5", "= 2", "optimizer.momentum < 1, got 2"),
        ("= 0.9", "= 5", "optimizer.square_decay < 1, got 5"),
    ],
)
def test_numbers_that_no_run_can_use(write, old, new, message):
    text = (
        "seed = 0\n[model]\nnum_latents = [1]\n[optimizer]\nlearning_rate = 1e-3\n"
        "momentum = 0.5\nsquare_decay = 0.9\n"
    )
    path = write(text.replace(old, new))
    with pytest.raises(UsageError, match=re.escape(message)):
        load_runs(path)


def test_no_time_is_spent_on_the_size_of_a_number(write):
    """Neither on all states of a billion latents, nor on writing down how many."""
    path = write(
        "[model]\nnum_latents = [1_000_000_000]\n[estimator]\nname = 'exact'\n"
    )
    with pytest.raises(UsageError, match=r"joint states .* got 2[*][*]1000000000"):
        load_runs(path)
