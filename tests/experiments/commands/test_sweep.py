"""Sweeps by the command line."""

import json

import pytest

from jaxdiscrete.experiments.cli import main
from tests.experiments.commands.helpers import (
    fails,
    read_rows,
)


def test_sweep(configs, tmp_path, capsys):
    folder = tmp_path / "sweep"
    args = ["sweep", configs / "reinforce.toml", "--output-dir", folder]
    grid = ["--grid", "optimizer.learning_rate=1e-3,1e-2"]
    run = [*args, "--num-seeds", "2", *grid, "--training.num-steps", "2"]
    assert main([str(arg) for arg in run]) == 0
    rows = json.loads((folder / "sweep.json").read_text())
    assert [r["run"] for r in rows] == [
        f"seed={seed},optimizer.learning_rate={rate}"
        for rate in ("0.001", "0.01")
        for seed in (0, 1)
    ]
    for row in rows:
        assert [r["step"] for r in read_rows(folder / row["run"])] == [2]
    assert "Runs of the sweep" in capsys.readouterr().out
    fails(capsys, run, "Expected no folder at")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--grid", "optimizer.learning_rate"], "--grid KEY=NUMBER,NUMBER, got"),
        (["--grid", "optimizer.learning_rate=fast"], "--grid KEY=NUMBER,NUMBER, got"),
        (["--grid", "optimizer.learning_rate=1,"], "--grid KEY=NUMBER,NUMBER, got"),
        (["--grid", "model.num_latents=2,3"], "got 'model.num_latents'"),
        (["--grid", "estimator.scale=nan"], "estimator.scale finite, got nan"),
        (["--grid", "optimizer.learning_rate=-1"], "optimizer.learning_rate >= 0"),
        (["--grid", "estimator.temperature=0"], "estimator.temperature > 0"),
        (
            ["--grid", "estimator.scale=1", "estimator.scale=2"],
            "estimator.scale once, got it twice",
        ),
        (["--grid", "estimator.scale=1,1"], "different values"),
        (["--num-seeds", "0"], "--num-seeds between 1 and 10000, got 0"),
        (["--training.num-steps", "3"], "multiple of training.steps_per_block"),
        (["--only", "odd"], "--only among rebar"),
    ],
)
def test_sweeps_that_cannot_run(configs, tmp_path, args, message, capsys):
    folder = tmp_path / "new"
    sweep = ["sweep", configs / "rebar.toml", "--output-dir", folder]
    fails(capsys, [*sweep, *args], message)
    assert not folder.exists()
