"""A task is one folder, which nothing else lists."""

import json
import math

import pytest

from jaxdiscrete.experiments import tasks
from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.tasks.table import find_model, task_names

SETTINGS = '''
import dataclasses

from jaxdiscrete.experiments.tasks.toy.settings import Settings as Toy


@dataclasses.dataclass(frozen=True)
class Settings(Toy):
    """A toy that starts elsewhere."""

    logit: float = 1.0
    """Initial log-odds."""
'''
TASK = "from jaxdiscrete.experiments.tasks.toy.task import make"
RUN = """
[model]
task = "coin"
num_gradients = 5
[optimizer]
learning_rate = 0.0
[training]
num_steps = 4
batch_size = 3
steps_per_block = 2
"""


def test_the_tasks_are_the_folders_of_their_package():
    assert task_names() == [
        "attention",
        "feature_selection",
        "generative",
        "glimpses",
        "language_model",
        "logistic_regression",
        "policy",
        "semi_supervised",
        "structured",
        "text",
        "toy",
    ]
    with pytest.raises(UsageError, match=r"model\.task among .*, toy, got 'coin'"):
        find_model({"task": "coin"}, "model.")


def test_a_new_folder_is_a_new_task(tmp_path, monkeypatch, capsys):
    """Named in a file, with its own settings, and trained by the one loop."""
    coin = tmp_path / "more" / "coin"
    coin.mkdir(parents=True)
    for name, text in (("__init__", ""), ("settings", SETTINGS), ("task", TASK)):
        (coin / f"{name}.py").write_text(text)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path / "more")])
    path, folder = tmp_path / "run.toml", tmp_path / "run"
    path.write_text(RUN)
    assert main(["train", str(path), "--output-dir", str(folder)]) == 0
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows] == [2, 4]
    theta = 1 / (1 + math.exp(-1.0))
    assert all(row["theta"] == pytest.approx(theta) for row in rows)
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["metrics"]) == {
        *("theta", "loss", "log_variance", "steps_per_second")
    }
    assert json.loads((folder / "config.json").read_text())["model"]["task"] == "coin"
