"""Runs over seeds, put together from folders that are there already."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from jaxdiscrete.experiments.config.load import load_experiment
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.folder import write_metrics
from jaxdiscrete.experiments.output.records import RunSummary
from jaxdiscrete.experiments.reproduce.measurements import measure
from jaxdiscrete.experiments.runs import train

SILENT = Console(quiet=True)
NUM_ROWS = 250
FILE = """
[claim]
title = "Two seeds"

[short]
num_steps = 250
num_seeds = 2

[training]
num_steps = 500
steps_per_block = 1

[estimators.plain]
name = "reinforce"
"""


@pytest.fixture
def made_up(monkeypatch):
    """Runs of made-up metrics in place of training; the names of their folders."""
    names = []

    def write(config, folder, screen):
        names.append(folder.name)
        folder.mkdir()
        rows = [
            {"step": i + 1, "loss": 1.0, "train_elbo": i + config.seed, "epoch": 0.1}
            for i in range(NUM_ROWS)
        ]
        write_metrics(folder, rows)
        metrics = {"test_elbo": 2.0 * config.seed, "steps_per_second": 10.0}
        summary = RunSummary(folder.name, "reinforce", "Digits", NUM_ROWS, 3.0, metrics)
        codec.write(folder / "summary.json", summary)
        (folder / "config.json").write_text(json.dumps(codec.to_plain(config)))
        (folder / "samples.png").touch()
        return summary

    monkeypatch.setattr(train, "train_or_continue", write)
    return names


def run(folder: Path):
    path = folder / "tiny.toml"
    path.write_text(FILE)
    experiment = load_experiment(path).at_length(short=True)
    return measure(experiment, folder, SILENT, short=True)


def test_metrics_are_means_over_seeds(made_up, tmp_path):
    measured = run(tmp_path)
    assert made_up == ["plain-seed0", "plain-seed1"]
    assert (measured.dataset, measured.steps) == ("Digits", NUM_ROWS)
    assert measured.seeds == (0, 1)
    final = measured.runs["plain"].final
    assert final["test_elbo"].values == (0.0, 2.0)
    assert final["test_elbo"].mean == 1.0
    assert measured.images == {
        "plain: samples": str(tmp_path / made_up[0] / "samples.png")
    }


def test_a_curve_has_about_a_hundred_points_and_ends_with_the_run(made_up, tmp_path):
    curves = run(tmp_path).runs["plain"].curves
    assert curves.steps == tuple(range(2, NUM_ROWS + 1, 2))
    # A bound is the loss without its noise, and other entries are no measurements.
    assert list(curves.metrics) == ["train_elbo"]
    assert curves.metrics["train_elbo"].mean[0] == 1.5
    assert set(curves.metrics["train_elbo"].standard_error) == {0.5}


def test_finished_runs_are_read_where_they_are(made_up, tmp_path):
    before = run(tmp_path)
    assert before.seconds_before == 0.0
    after = run(tmp_path)
    assert len(made_up) == 2
    assert after.seconds_before == 6.0
    assert after.runs == before.runs


def test_runs_with_other_settings_are_not_read(made_up, tmp_path, monkeypatch):
    run(tmp_path)
    path = tmp_path / "plain-seed1" / "config.json"
    config = json.loads(path.read_text())
    config["training"]["batch_size"] = 7
    path.write_text(json.dumps(config))
    again = []

    def fail(config, folder, screen):
        again.append(folder.name)
        raise KeyError

    monkeypatch.setattr(train, "train_or_continue", fail)
    with pytest.raises(KeyError):
        run(tmp_path)
    assert again == ["plain-seed1"]
