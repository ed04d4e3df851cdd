"""What a run of any task must do."""

import json

from jaxdiscrete.experiments.cli import main


def train_in_two_parts(tmp_path, text):
    """Asserts that a run that was cut after two steps ends as one that was not.

    Returns the metrics of its summary and its folder.
    """
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    half, whole = tmp_path / "half", tmp_path / "whole"
    train = ["train", str(path), "--output-dir"]
    assert main([*train, str(half), "--training.num-steps", "2"]) == 0
    assert main([*train, str(half), "--resume"]) == 0
    assert main([*train, str(whole)]) == 0
    resumed, at_once = (
        json.loads((f / "summary.json").read_text())["metrics"] for f in (half, whole)
    )
    for metrics in (resumed, at_once):
        assert metrics.pop("steps_per_second") > 0
    assert resumed == at_once
    return at_once, whole


def train_is_refused(tmp_path, text, message, capsys):
    """Asserts that a file cannot be trained: one line, exit code 2, and no folder."""
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    assert main(["train", str(path), "--output-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
