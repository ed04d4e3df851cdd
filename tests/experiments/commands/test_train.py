"""Training by the command line: what is written, continued, and never deleted."""

import json
import math
import struct

import jax
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.commands import train as command
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.lock import LOCK_FILE
from tests.experiments.commands.helpers import (
    PNG,
    TIMES,
    TINY,
    content,
    fails,
    read_rows,
    restore,
    without_times,
)


def test_train_writes_every_file(configs, finished):
    rows = read_rows(finished)
    assert [row["step"] for row in rows] == [2, 4, 6, 8]
    assert [row["epoch"] for row in rows] == [2 / 3, 4 / 3, 2, 8 / 3]
    for row in rows:
        assert set(row) == {
            "step",
            "epoch",
            "loss",
            "train_elbo",
            "valid_elbo",
            "log_variance",
            "encoder_log_variance",
            *TIMES,
        }
        assert all(math.isfinite(value) for value in row.values())
    summary = json.loads((finished / "summary.json").read_text())
    bounds = {f"{p}_{b}" for p in ("train", "valid", "test") for b in ("elbo", "bound")}
    assert set(summary) == {
        *("run", "estimator", "dataset", "steps", "seconds", "metrics")
    }
    metrics = summary["metrics"]
    assert set(metrics) == {
        *bounds,
        *(f"{name}_se" for name in bounds),
        *("log_variance", "encoder_log_variance", "steps_per_second"),
        *("epoch_objective", "best_epoch_objective"),
    }
    assert summary["run"] == "tiny"
    assert summary["estimator"] == "nvil"
    assert summary["steps"] == 8
    for part in ("train", "valid", "test"):
        assert metrics[f"{part}_bound"] >= metrics[f"{part}_elbo"]
    assert metrics["log_variance"] == rows[-1]["log_variance"]
    config = json.loads((finished / "config.json").read_text())
    assert config["training"]["num_steps"] == 8
    for name in ("samples", "reconstructions", "curves"):
        assert (finished / f"{name}.png").read_bytes()[:8] == PNG
    assert int(restore(configs, finished).step) == 8
    hidden = {p.name for p in finished.iterdir() if p.name.startswith(".")}
    assert hidden <= {LOCK_FILE}


def read_events(path):
    """Scalars of a TensorBoard file: length, checksum, event, checksum."""
    data, found, purged = path.read_bytes(), [], []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        if event.HasField("session_log"):
            purged.append(event.step)
        found += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
        data = data[16 + length :]
    return found, purged


def test_tensorboard_has_the_metrics_of_every_block(finished):
    (path,) = (finished / "tensorboard").iterdir()
    scalars, _ = read_events(path)
    expected = {
        (row["step"], name): value
        for row in read_rows(finished)
        for name, value in row.items()
        if name != "step"
    }
    assert len(scalars) == len(expected)
    for step, name, value in scalars:
        assert value == pytest.approx(expected[step, name], rel=1e-6)


def test_resuming_repeats_an_uninterrupted_run(configs, finished, tmp_path, capsys):
    folder = tmp_path / "half"
    args = ["train", str(configs / "nvil.toml"), "--output-dir", str(folder)]
    assert main([*args, "--training.num-steps", "4"]) == 0
    assert int(restore(configs, folder).step) == 4
    assert main([*args, "--resume"]) == 0
    jax.tree.map(
        np.testing.assert_array_equal,
        restore(configs, finished),
        restore(configs, folder),
    )
    assert without_times(read_rows(finished)) == without_times(read_rows(folder))
    whole, resumed = (
        json.loads((f / "summary.json").read_text()) for f in (finished, folder)
    )
    for summary in (whole, resumed):
        assert summary.pop("seconds") > 0 < summary["metrics"].pop("steps_per_second")
    assert whole | {"run": "half"} == resumed
    first, second = sorted((folder / "tensorboard").iterdir())
    _, purged = read_events(second)
    assert purged == [5]
    steps = {step for path in (first, second) for step, *_ in read_events(path)[0]}
    assert steps == {2, 4, 6, 8}
    out = capsys.readouterr().out
    assert "half: resumed after step 4" in out
    assert "test ELBO" in out


@pytest.mark.thorough
def test_resuming_a_finished_run_leaves_it_as_it_is(configs, copy):
    before = content(copy)
    args = ["train", str(configs / "nvil.toml"), "--output-dir", str(copy)]
    assert main([*args, "--resume"]) == 0
    after = content(copy)
    same = [p for p in before if p.suffix != ".png" and p.name != "summary.json"]
    assert {p: after[p] for p in same} == {p: before[p] for p in same}


@pytest.mark.thorough
def test_a_schedule_of_the_file_reaches_the_run(tmp_path):
    path, folder = tmp_path / "run.toml", tmp_path / "run"
    path.write_text(
        TINY.replace("num_steps = 8", "num_steps = 2")
        + '[estimator]\nname = "gumbel_softmax"\n[estimator.temperature]\n'
        'name = "piecewise_constant_schedule"\ninit_value = 1.0\n'
        "boundaries_and_scales = { 1 = 0.5 }\n"
    )
    args = ["train", str(path), "--output-dir", str(folder)]
    assert main(args) == 0
    config = json.loads((folder / "config.json").read_text())
    assert config["estimator"]["temperature"]["arguments"]["init_value"] == 1.0
    assert main([*args, "--resume"]) == 0


@pytest.fixture
def announced(tmp_path, monkeypatch):
    """Runs in an empty folder are announced, and not begun."""

    def announce(config, folder, screen, **options):
        name = config.estimator.name
        raise UsageError(f"{config.num_steps} steps of {name} in {folder}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "train", announce)


def test_only_one_of_several_estimators(configs, announced, capsys):
    path = configs / "several.toml"
    fails(capsys, ["train", path], "--only among plain, even, the estimators in")
    fails(capsys, ["train", path, "--only", "odd"], "got odd. Choose one")
    args = ["train", path, "--only", "even", "--training.num-steps", "2"]
    fails(capsys, args, "2 steps of mean_field in runs/several-even")


def test_a_name_of_a_configuration_that_comes_along(announced, tmp_path, capsys):
    """In an empty folder, in which a path of that name wins."""
    short = ["--training.num-steps", "2", "--training.steps-per-block", "2"]
    args = ["train", "digits/reinforce", *short]
    fails(capsys, args, "2 steps of reinforce in runs/reinforce")
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "reinforce").write_text("speed = 1")
    fails(capsys, ["train", "digits/reinforce"], "unknown key speed")


# Folders


def test_an_existing_folder_is_refused(configs, copy, capsys):
    before = content(copy)
    args = ["train", configs / "nvil.toml", "--output-dir", copy]
    fails(capsys, args, "Pass --resume to continue its run, --overwrite to replace it")
    fails(capsys, [*args, "--resume", "--overwrite"], "got both")
    assert content(copy) == before


def test_overwriting_leaves_nothing_of_the_old_run(configs, copy):
    (copy / "note.txt").write_text("old")
    args = ["train", str(configs / "reinforce.toml"), "--output-dir", str(copy)]
    assert main([*args, "--overwrite", "--training.num-steps", "2"]) == 0
    assert not (copy / "note.txt").exists()
    assert len(read_rows(copy)) == 1
    assert json.loads((copy / "summary.json").read_text())["estimator"] == "reinforce"


def test_a_folder_without_a_run_is_never_deleted(configs, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("important")
    args = ["train", configs / "nvil.toml", "--output-dir", tmp_path, "--overwrite"]
    fails(capsys, args, "does not delete")
    assert (tmp_path / "thesis.tex").read_text() == "important"


def test_resume_needs_a_run_of_the_same_settings(configs, copy, tmp_path, capsys):
    before = content(copy)
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir"]
    fails(capsys, [*args, tmp_path / "absent"], "Start it without --resume")
    fails(
        capsys,
        [*args, copy, "--optimizer.learning-rate", "0.5"],
        "Expected optimizer.learning_rate.arguments.value = 0.001",
    )
    fails(capsys, [*args, copy, "--seed", "1"], "Expected seed = 0")
    other = ["train", configs / "reinforce.toml", "--resume", "--output-dir", copy]
    fails(capsys, other, "Expected estimator.")
    shorter = [*args, copy, "--training.num-steps", "4"]
    fails(capsys, shorter, "A run can only be made longer")
    assert content(copy) == before


def test_a_file_where_the_folder_should_be(configs, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("important")
    for extra in ([], ["--overwrite"]):
        args = ["train", configs / "nvil.toml", "--output-dir", path, *extra]
        fails(capsys, args, "got a file. Choose another --output-dir")
    assert path.read_text() == "important"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--training.batch-size", "0"], "training.batch_size >= 1"),
        (["--training.batch-size", "1351"], "training.batch_size <= 1350"),
        (["--estimator.temperature", "0"], "estimator.temperature > 0, got 0"),
        (["--estimator.temperature", "-1"], "estimator.temperature > 0, got -1"),
        (["--optimizer.learning-rate", "nan"], "optimizer.learning_rate finite"),
        (["--data.name", "pictures"], "Expected a data set among"),
        (["--data.binarization", "published"], "a binarization of digits among"),
        (
            ["--data.binarization", "none"],
            "pixels binary for model.task = 'generative'",
        ),
        (["--optimizer.learning-rate", "-1"], "optimizer.learning_rate >= 0, got -1"),
        (["--training.num-steps", "3"], "multiple of training.steps_per_block=2"),
        (["--model.num-samples", "2"], "model.num_samples = 1"),
        (["--model.divergence", "concrete"], "'gumbel_softmax'"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(
    configs, tmp_path, args, message, capsys
):
    folder = tmp_path / "new"
    start = ["train", configs / "rebar.toml", "--output-dir", folder]
    fails(capsys, [*start, *args], message)
    assert not folder.exists()
