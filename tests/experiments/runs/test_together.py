"""Seeds in one program against the same seeds alone."""

import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console

from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.figures import Picture
from jaxdiscrete.experiments.output.folder import read_metrics
from jaxdiscrete.experiments.output.records import RunSummary
from jaxdiscrete.experiments.runs.together import train_seeds
from jaxdiscrete.experiments.runs.train import train
from jaxdiscrete.experiments.settings.fields import constant
from jaxdiscrete.experiments.tasks.toy.settings import Settings
from jaxdiscrete.experiments.tasks.toy.task import ToyTask
from jaxdiscrete.experiments.training.settings import Config, Optimizer, Training

SILENT = Console(quiet=True)
CONFIG = Config(
    seed=3,
    model=Settings(target=0.2, num_gradients=20),
    optimizer=Optimizer(learning_rate=constant(0.1)),
    training=Training(num_steps=12, batch_size=2, steps_per_block=4),
    estimator=ESTIMATORS["reinforce"](),
)


def test_seeds_are_written_as_if_each_had_run_alone(tmp_path, monkeypatch):
    dot = {"dot": Picture(np.ones((1, 1, 4)), ["dot"], "A dot")}
    monkeypatch.setattr(ToyTask, "pictures", lambda self, state: dot)
    monkeypatch.setattr(ToyTask, "image_shape", (2, 2))
    folders = {seed: tmp_path / f"run-seed{seed}" for seed in (3, 4)}
    summaries = train_seeds(CONFIG, folders, SILENT)
    assert list(summaries) == [3, 4]
    for seed, folder in folders.items():
        summary = codec.read(folder / "summary.json", RunSummary)
        assert summary == summaries[seed]
        assert (summary.run, summary.steps) == (folder.name, 12)
        seeded = dataclasses.replace(CONFIG, seed=seed)
        config = json.loads((folder / "config.json").read_text())
        assert config == json.loads(json.dumps(codec.to_plain(seeded)))
        rows = read_metrics(folder, 12)
        assert [row["step"] for row in rows] == [4, 8, 12]
        assert {"dot.png", "dot.npz"} <= {path.name for path in folder.iterdir()}
    alone = train(seeded, tmp_path / "alone", SILENT)
    for name in ("theta", "loss", "log_variance"):
        assert summary.metrics[name] == pytest.approx(alone.metrics[name], rel=1e-4)
    thetas = [row["theta"] for row in read_metrics(tmp_path / "alone", 12)]
    np.testing.assert_allclose([row["theta"] for row in rows], thetas, rtol=1e-5)
    # Each has its share of the time.
    assert summaries[3].seconds == summaries[4].seconds
    assert 2 * summaries[3].seconds == pytest.approx(rows[-1]["seconds"])


def test_no_seeds_are_no_runs(tmp_path):
    assert train_seeds(CONFIG, {}, SILENT) == {}
