"""The command line from end to end, on tiny settings."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from jaxdiscrete.experiments import checkpoints, cli
from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.config import load_config
from jaxdiscrete.experiments.data import load_digits
from jaxdiscrete.experiments.settings import Config
from jaxdiscrete.experiments.training import Experiment

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = ("mean_field", "reinforce")
TINY = """
[data]
num_test = 1785
[model]
num_latents = 2
[training]
num_epochs = 4
batch_size = 5
epochs_per_block = 1
blocks_per_checkpoint = 2
num_importance_samples = 2
[estimator]
"""


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """A cache of programs, because the runs here repeat the same few."""
    wanted = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0.2,
    }
    before = {name: getattr(jax.config, name) for name in wanted}
    for name, value in wanted.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """Twelve training digits, two steps an epoch."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / "rebar.toml").write_text(TINY + 'name = "rebar"\n')
    (folder / "reinforce.toml").write_text(TINY + 'name = "reinforce"\n')
    (folder / "mean_field.toml").write_text(TINY + 'name = "mean_field"\n')
    return folder


@pytest.fixture(scope="module")
def finished(configs, tmp_path_factory):
    """A run of eight steps in one go."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    args = ["train", str(configs / "rebar.toml"), "--output-dir", str(folder)]
    assert main(args) == 0
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def read_rows(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def restore(configs, folder):
    config = load_config(configs / "rebar.toml", Config)
    like = jax.jit(Experiment(config, load_digits(config.data)).init)()
    return checkpoints.restore(folder, like)


def test_train_writes_every_file(configs, finished):
    rows = read_rows(finished)
    assert [(row["epoch"], row["step"]) for row in rows] == [
        (1, 2),
        (2, 4),
        (3, 6),
        (4, 8),
    ]
    for row in rows:
        assert all(math.isfinite(value) for value in row.values())
        assert row["test_elbo"] < 0
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["estimator"] == "rebar"
    assert summary["steps"] == 8
    assert summary["test_bound"] >= summary["test_elbo"] - 1.0
    config = json.loads((finished / "config.json").read_text())
    assert config["training"]["num_epochs"] == 4
    for name in ("samples", "reconstructions", "curves"):
        assert (finished / f"{name}.png").read_bytes()[:8] == PNG
    assert int(restore(configs, finished).step) == 8
    assert not [p for p in finished.iterdir() if p.name.startswith(".")]


def test_resuming_repeats_an_uninterrupted_run(configs, finished, tmp_path, capsys):
    folder = tmp_path / "half"
    args = ["train", str(configs / "rebar.toml"), "--output-dir", str(folder)]
    assert main([*args, "--training.num-epochs", "2"]) == 0
    assert int(restore(configs, folder).step) == 4
    assert main([*args, "--resume"]) == 0
    jax.tree.map(
        np.testing.assert_array_equal,
        restore(configs, finished),
        restore(configs, folder),
    )
    keys = ("step", "loss", "train_elbo", "test_elbo", "log_variance")
    for whole, resumed in zip(read_rows(finished), read_rows(folder), strict=True):
        assert [whole[k] for k in keys] == [resumed[k] for k in keys]
    assert "test ELBO" in capsys.readouterr().out


def fails(capsys, args, message, code=2):
    """Asserts one line on stderr with the message, and the exit code."""
    capsys.readouterr()
    assert main([str(arg) for arg in args]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("jaxdiscrete: ")
    assert error.count("\n") == 1


def test_an_existing_folder_is_refused(configs, copy, capsys):
    before = (copy / "summary.json").read_bytes()
    args = ["train", configs / "rebar.toml", "--output-dir", copy]
    fails(capsys, args, "Pass --resume to continue its run, --overwrite to replace it")
    fails(capsys, [*args, "--resume", "--overwrite"], "got both")
    assert (copy / "summary.json").read_bytes() == before


def test_a_folder_without_a_run_is_never_deleted(configs, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("important")
    args = ["train", configs / "rebar.toml", "--output-dir", tmp_path, "--overwrite"]
    fails(capsys, args, "does not delete")
    assert (tmp_path / "thesis.tex").read_text() == "important"


def test_resume_needs_a_run_of_the_same_settings(configs, copy, tmp_path, capsys):
    args = ["train", configs / "rebar.toml", "--resume", "--output-dir"]
    fails(capsys, [*args, tmp_path / "absent"], "Start it without --resume")
    fails(
        capsys,
        [*args, copy, "--optimizer.learning-rate", "0.5"],
        "Expected optimizer.learning_rate = 0.001",
    )
    other = ["train", configs / "reinforce.toml", "--resume", "--output-dir", copy]
    fails(capsys, other, "Expected estimator.name = 'rebar'")
    shorter = [*args, copy, "--training.num-epochs", "2"]
    fails(capsys, shorter, "A run can only be made longer")
    assert json.loads((copy / "config.json").read_text())["training"]["num_epochs"] == 4


def test_a_file_where_the_folder_should_be(configs, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("important")
    for extra in ([], ["--overwrite"]):
        args = ["train", configs / "rebar.toml", "--output-dir", path, *extra]
        fails(capsys, args, "got a file. Choose another --output-dir")
    assert path.read_text() == "important"


def test_interruption_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr("jaxdiscrete.experiments.commands.run", interrupted)
    monkeypatch.setattr("os._exit", leave)
    with pytest.raises(SystemExit) as left:
        main(["train"])
    assert left.value.code == 130
    assert "continue with --resume" in capsys.readouterr().err


def test_damaged_runs_are_errors_that_say_what_to_do(configs, copy, capsys):
    args = ["train", configs / "rebar.toml", "--resume", "--output-dir", copy]
    largest = max(
        (copy / "checkpoints" / "8").rglob("*"), key=lambda path: path.stat().st_size
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    fails(capsys, args, "Expected an intact checkpoint")
    shutil.rmtree(copy / "checkpoints" / "8")
    assert int(restore(configs, copy).step) == 4
    (copy / "metrics.jsonl").write_text('{"epoch": 1')
    fails(capsys, args, "Expected metrics in")
    shutil.rmtree(copy / "checkpoints")
    fails(capsys, args, "Expected a checkpoint in")
    (copy / "checkpoints.json").write_text("[]")
    fails(capsys, args, "Expected checksums in")
    (copy / "config.json").write_text("{")
    fails(capsys, args, "Expected settings in")


def test_a_run_that_diverges_stops(configs, tmp_path, capsys):
    folder = tmp_path / "diverged"
    args = ["train", configs / "reinforce.toml", "--output-dir", folder]
    fails(
        capsys,
        [*args, "--optimizer.learning-rate", "1e38"],
        " at step 1. Lower optimizer.learning_rate",
        code=1,
    )
    assert not (folder / "summary.json").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train"], "a configuration file right after train, got nothing"),
        (["train", "--seed", "1"], "right after train, got --seed"),
        (["train", "absent.toml"], "got no such file"),
        (["relaxation", "absent.toml"], "got no such file"),
        (["compare"], "at least one configuration file"),
        (["compare", "a.toml"], "got no such file"),
    ],
)
def test_arguments_that_name_no_file(args, message, capsys):
    fails(capsys, args, message)


def test_settings_out_of_range_are_refused(configs, tmp_path, capsys):
    args = ["train", configs / "rebar.toml", "--output-dir", tmp_path / "new"]
    fails(capsys, [*args, "--training.batch-size", "0"], "training.batch_size >= 1")
    fails(capsys, [*args, "--training.batch-size", "13"], "training.batch_size <= 12")
    assert not (tmp_path / "new").exists()


def test_unknown_options_exit_with_two(configs, capsys):
    with pytest.raises(SystemExit) as info:
        main(["train", str(configs / "rebar.toml"), "--estimator.num-samples", "3"])
    assert info.value.code == 2
    assert "num-samples" in capsys.readouterr().err


def test_help_shows_the_values_of_the_file(configs, capsys):
    with pytest.raises(SystemExit) as info:
        main(["train", str(configs / "rebar.toml"), "--help"])
    assert info.value.code == 0
    out = capsys.readouterr().out
    assert "--estimator.temperature" in out
    assert "--training.batch-size" in out
    assert "default: 5" in out


def test_compare(configs, tmp_path, capsys):
    folder = tmp_path / "compare"
    files = [str(configs / f"{name}.toml") for name in NAMES]
    args = ["compare", *files, "--output-dir", str(folder)]
    assert main([*args, "--seed", "1"]) == 0
    results = json.loads((folder / "comparison.json").read_text())
    assert {r["run"] for r in results} == set(NAMES)
    assert results[0]["test_elbo"] >= results[1]["test_elbo"]
    assert (folder / "comparison.png").read_bytes()[:8] == PNG
    for name in NAMES:
        assert len(read_rows(folder / name)) == 4
        config = json.loads((folder / name / "config.json").read_text())
        assert config["seed"] == 1
    table = capsys.readouterr().out
    assert table.rindex(results[0]["run"]) < table.rindex(results[1]["run"])
    fails(capsys, args, "Pass --resume")


def test_only_estimators_may_differ_in_a_comparison(configs, tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace("num_latents = 2", "num_latents = 3"))
    args = ["compare", configs / "rebar.toml", other, "--output-dir", tmp_path / "new"]
    fails(capsys, args, "Expected model.num_latents = 2 in every compared")
    fails(capsys, ["compare", other, other], "got other twice")
    assert not (tmp_path / "new").exists()


def test_relaxation(tmp_path, capsys):
    path, folder = tmp_path / "cos.toml", tmp_path / "cos"
    path.write_text("temperatures = [1.0]\nnum_samples = 50\n")
    assert main(["relaxation", str(path), "--output-dir", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "muprop (unbiased)" in out
    assert "0.333*" in out
    assert len(json.loads((folder / "relaxation.json").read_text())["rows"]) == 11


def test_missing_packages_are_named(monkeypatch, capsys):
    monkeypatch.setattr(cli, "REQUIRED", ("rich", "nowhere", "nowhere.deeper"))
    fails(capsys, ["train"], "pip install 'jaxdiscrete[experiments]'")


def test_the_library_does_not_import_the_experiments():
    code = (
        "import sys, jaxdiscrete; "
        "sys.exit(any(m in sys.modules for m in "
        "('jaxdiscrete.experiments', 'flax', 'matplotlib', 'rich', 'tyro')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
