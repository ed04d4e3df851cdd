"""Estimators measured on a trained model, against its own loss and enumeration."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.config.load import load_runs
from jaxdiscrete.experiments.data.dataset import shuffled_subset
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.runs import measure
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import checkpoints
from jaxdiscrete.experiments.training.keys import Stream, stream
from tests.experiments.helpers import init, restore
from tests.helpers.parameters import daily

TINY = """
[model]
num_latents = {latents}
[training]
num_steps = 4
batch_size = 450
steps_per_block = 4
[evaluation]
num_samples = 2
num_examples = 20
num_test_examples = 20
[estimator]
name = "{name}"
"""
RUNS = {"one": [2], "two": [2, 1], "wide": [13], "trained": [2]}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Runs of REBAR with what they began with: one layer, two, many joint states.

    And the file of one that is yet to be trained.
    """
    folder = tmp_path_factory.mktemp("measure")
    for run, latents in RUNS.items():
        path = folder / f"{run}.toml"
        path.write_text(TINY.format(latents=latents, name="rebar"))
        if run == "trained":
            continue
        config = load_runs(path)[run]
        with files.open_folder(
            folder / run, dataclasses.asdict(config), resume=False, overwrite=False
        ):
            checkpoints.save(folder / run, init(make_task(config)))
    return folder


def arguments(folder, run, *more):
    config, where = folder / f"{run}.toml", folder / run
    return ["measure", str(config), "--run-dir", str(where), *map(str, more)]


def fails(capsys, args, message, code=2):
    capsys.readouterr()
    assert main([str(arg) for arg in args]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("run", daily(["one"], ["one", "two", "trained"]))
def test_a_run_is_measured_against_enumeration(begun, run, capsys):
    if run == "trained":
        path, folder = begun / "trained.toml", begun / "trained"
        assert main(["train", str(path), "--output-dir", str(folder)]) == 0
    names = ("nvil", "gumbel_softmax")
    args = ("--num-images", 3, "--num-gradients", 400, "--estimators", *names)
    assert main(arguments(begun, run, *args)) == 0
    out = capsys.readouterr().out
    states = 8 if run == "two" else 4
    assert f"exact, by enumeration of {states} joint states per image" in out
    assert "rebar (trained)" in out
    assert "…" not in out
    data = json.loads((begun / run / "measurement.json").read_text())
    assert len(data["coordinates"]) == (9 if run == "two" else 6)
    rows = data["estimators"]
    assert set(rows) == {"rebar (trained)", *names}
    for name in ("rebar (trained)", "nvil"):
        assert rows[name]["max_abs_z"] < 4.5
    if run != "two":
        calls = [rows[name]["calls"] for name in ("rebar (trained)", "nvil")]
        assert calls == [2, 1]
        assert rows["gumbel_softmax"]["bias_norm"] > 0


@pytest.mark.thorough
def test_the_oracle_is_the_gradient_of_the_models_own_bound(begun):
    """Through the last layer's bias, which adds to the logits of every image."""
    config = load_runs(begun / "one.toml")["one"]
    measured = measure.measure(config, begun / "one", [], num_images=3, num_gradients=2)
    task = make_task(config)
    state = restore(begun / "one.toml", begun / "one")
    model, weights = task.network, state.params["model"]
    rows = jnp.asarray(shuffled_subset(task.dataset.valid, 3))
    x = task.pixels(stream(config.seed, Stream.METER_PIXELS), rows)

    def bound(offset, x):
        q = model.posterior(weights, 0, x, x)
        q = jax.tree.map(lambda logits: logits + offset, q)
        states = q.enumerate_support()

        def cost(z):
            return model.cost(weights, 0, q, x, z, x, 1.0)

        p = jnp.exp(jax.vmap(q.log_prob)(states).sum(axis=1))
        return model.divergence(weights, 0, q) + jnp.dot(p, jax.vmap(cost)(states))

    expected = jax.vmap(jax.grad(bound), (None, 0))(jnp.zeros(2), x)
    np.testing.assert_allclose(
        measured.oracle.mean, np.ravel(expected), rtol=1e-3, atol=1e-4
    )


@pytest.mark.thorough
def test_many_states_have_a_long_run_for_an_oracle(begun, capsys, tmp_path):
    output = tmp_path / "found.json"
    args = ("--num-images", 2, "--num-gradients", 20, "--output", output)
    assert main(arguments(begun, "wide", *args)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "the mean of 20 leave-one-out gradients of 50 samples each" in out
    data = json.loads(output.read_text())
    assert not data["oracle"]["is_exact"]
    assert max(data["oracle"]["standard_error"]) > 0
    assert not (begun / "wide" / "measurement.json").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_the_default_folder_is_that_of_train(begun, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    message = "Expected a run in runs/one to measure, got no config.json there. Train"
    fails(capsys, ["measure", begun / "one.toml"], message)


def test_what_cannot_be_used(begun, capsys, tmp_path):
    base = arguments(begun, "one")
    fails(capsys, [*base, "--estimators", "rebra"], "Expected estimator.name among")
    fails(capsys, [*base, "--num-images", 0], "Expected --num-images >= 1, got 0")
    fails(capsys, [*base, "--num-gradients", 1], "Expected --num-gradients >= 2, got 1")
    missing = tmp_path / "no" / "x.json"
    fails(capsys, [*base, "--output", missing], "in a folder that is there, got")
    other = ["measure", begun / "two.toml", "--run-dir", begun / "one"]
    message = "Expected model.num_latents = [2], as the run in"
    fails(capsys, other, message)
    fails(capsys, [*base, "--only", "x"], "Expected --only among")
    nowhere = ["measure", tmp_path / "none.toml"]
    fails(capsys, nowhere, "none.toml")


def test_a_run_without_a_checkpoint(begun, capsys, tmp_path):
    text = (begun / "one" / "config.json").read_text()
    (tmp_path / "config.json").write_text(text)
    args = ["measure", begun / "one.toml", "--run-dir", tmp_path]
    fails(capsys, args, "Expected a checkpoint in")
    (tmp_path / "config.json").write_text("[")
    fails(capsys, args, "got a file that cannot be read")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            'task = "toy"',
            "Expected a model with layers to measure estimators with, got",
        ),
        ("num_samples = 2", "Expected one sample to measure estimators with, got mod"),
        ('divergence = "concrete"', "Expected an objective of hard samples to measure"),
    ],
)
def test_objectives_that_have_no_common_gradient(tmp_path, capsys, setting, message):
    path = tmp_path / "x.toml"
    text = TINY.format(latents=[2], name="gumbel_softmax")
    if "toy" in setting:
        text = text.replace("num_latents = [2]", "")
    path.write_text(text.replace("[model]", f"[model]\n{setting}"))
    fails(capsys, ["measure", path], message)
