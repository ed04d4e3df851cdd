"""The command line from end to end, on tiny settings."""

import json
import math
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

import jaxdiscrete
from jaxdiscrete.experiments import cli
from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.training import checkpoints
from tests.experiments import helpers

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = ("mean_field", "reinforce")
TINY = """
[model]
num_latents = [2]
[training]
num_steps = 8
batch_size = 450
steps_per_block = 2
blocks_per_checkpoint = 2
[evaluation]
num_samples = 2
num_examples = 20
num_test_examples = 20
"""
SEVERAL = TINY + (
    '[claim]\n[estimators.plain]\nname = "reinforce"\n'
    '[estimators.even]\nname = "mean_field"\n'
)
TIMES = {"seconds", "steps_per_second"}


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """Three steps per epoch."""
    folder = tmp_path_factory.mktemp("configs")
    for name in ("rebar", *NAMES):
        (folder / f"{name}.toml").write_text(f'{TINY}[estimator]\nname = "{name}"\n')
    (folder / "several.toml").write_text(SEVERAL)
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


def without_times(rows):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def restore(configs, folder, name="rebar"):
    return helpers.restore(configs / f"{name}.toml", folder)


def content(folder):
    """Every file below a folder, to see that nothing was lost."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def fails(capsys, args, message, code=2):
    """Asserts one line on stderr with the message, and the exit code."""
    capsys.readouterr()
    assert main([str(arg) for arg in args]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("jaxdiscrete: ")
    assert error.count("\n") == 1


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxdiscrete {jaxdiscrete.__version__}\n"


# Training


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
    }
    assert summary["run"] == "tiny"
    assert summary["estimator"] == "rebar"
    assert summary["steps"] == 8
    for part in ("train", "valid", "test"):
        assert metrics[f"{part}_bound"] >= metrics[f"{part}_elbo"]
    assert metrics["log_variance"] == rows[-1]["log_variance"]
    config = json.loads((finished / "config.json").read_text())
    assert config["training"]["num_steps"] == 8
    for name in ("samples", "reconstructions", "curves"):
        assert (finished / f"{name}.png").read_bytes()[:8] == PNG
    assert int(restore(configs, finished).step) == 8
    assert not [p for p in finished.iterdir() if p.name.startswith(".")]


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
    args = ["train", str(configs / "rebar.toml"), "--output-dir", str(folder)]
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


def test_resuming_a_finished_run_leaves_it_as_it_is(configs, copy):
    before = content(copy)
    args = ["train", str(configs / "rebar.toml"), "--output-dir", str(copy)]
    assert main([*args, "--resume"]) == 0
    after = content(copy)
    same = [p for p in before if p.suffix != ".png" and p.name != "summary.json"]
    assert {p: after[p] for p in same} == {p: before[p] for p in same}


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


def test_only_one_of_several_estimators(configs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = configs / "several.toml"
    fails(capsys, ["train", path], "--only among plain, even, the estimators in")
    fails(capsys, ["train", path, "--only", "odd"], "got odd. Choose one")
    short = ["--training.num-steps", "2"]
    assert main(["train", str(path), "--only", "even", *short]) == 0
    summary = json.loads((tmp_path / "runs/several-even/summary.json").read_text())
    assert summary["estimator"] == "mean_field"
    assert summary["steps"] == 2


# Folders


def test_an_existing_folder_is_refused(configs, copy, capsys):
    before = content(copy)
    args = ["train", configs / "rebar.toml", "--output-dir", copy]
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
    args = ["train", configs / "rebar.toml", "--output-dir", tmp_path, "--overwrite"]
    fails(capsys, args, "does not delete")
    assert (tmp_path / "thesis.tex").read_text() == "important"


def test_resume_needs_a_run_of_the_same_settings(configs, copy, tmp_path, capsys):
    before = content(copy)
    args = ["train", configs / "rebar.toml", "--resume", "--output-dir"]
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
        args = ["train", configs / "rebar.toml", "--output-dir", path, *extra]
        fails(capsys, args, "got a file. Choose another --output-dir")
    assert path.read_text() == "important"


# Damage


def test_a_cut_line_of_metrics_is_named_and_can_be_deleted(
    configs, finished, copy, capsys
):
    """The checkpoint survives, and a resumed run goes on from it."""
    args = ["train", configs / "rebar.toml", "--resume", "--output-dir", copy]
    path = copy / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])
    before = content(copy)
    fails(capsys, args, f"line 4 of {path}")
    assert content(copy) == before
    path.write_text("".join(lines[:3]))
    longer = [*map(str, args), "--training.num-steps", "10"]
    assert main(longer) == 0
    assert [row["step"] for row in read_rows(copy)] == [2, 4, 6, 10]
    assert read_rows(copy)[:3] == read_rows(finished)[:3]


def test_a_run_that_lost_all_metrics_says_how_to_go_on(configs, copy, capsys):
    args = ["train", configs / "rebar.toml", "--resume", "--output-dir", copy]
    (copy / "metrics.jsonl").write_text("")
    fails(capsys, args, "got none. Raise training.num_steps")
    (copy / "metrics.jsonl").unlink()
    fails(capsys, args, "Expected metrics in")
    assert int(restore(configs, copy).step) == 8


def damage(folder):
    """Flips one bit of the largest file."""
    largest = max(folder.rglob("*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(
    configs, finished, copy, capsys
):
    args = ["train", configs / "rebar.toml", "--resume", "--output-dir", copy]
    newest = copy / "checkpoints" / "8"
    damage(newest)
    before = content(copy)
    fails(capsys, args, f"Expected an intact checkpoint in {newest}")
    assert content(copy) == before
    shutil.rmtree(newest)
    assert int(restore(configs, copy).step) == 4
    assert main([str(arg) for arg in args]) == 0
    jax.tree.map(
        np.testing.assert_array_equal,
        restore(configs, copy),
        restore(configs, finished),
    )
    assert without_times(read_rows(copy)) == without_times(read_rows(finished))


def test_what_is_left_of_a_run_is_named(configs, copy, capsys):
    args = ["train", configs / "rebar.toml", "--resume", "--output-dir", copy]
    shutil.rmtree(copy / "checkpoints")
    fails(capsys, args, "Expected a checkpoint in")
    (copy / "checkpoints.json").write_text("[]")
    fails(capsys, args, "Expected checksums in")
    (copy / "config.json").write_text("{")
    fails(capsys, args, "Expected settings in")


def test_a_run_that_diverges_names_step_quantity_and_checkpoint(
    configs, tmp_path, capsys
):
    folder = tmp_path / "diverged"
    args = ["train", configs / "reinforce.toml", "--output-dir", folder]
    huge = ["--optimizer.name", "sgd", "--optimizer.learning-rate"]
    fails(capsys, [*args, *huge, "1e38"], " at step 1. There is no checkpoint", code=1)
    assert not (folder / "summary.json").exists()


def test_a_run_that_diverges_later_keeps_its_checkpoint(tmp_path, capsys):
    path, folder = tmp_path / "late.toml", tmp_path / "late"
    path.write_text(
        TINY + '[optimizer]\nname = "sgd"\n[optimizer.learning_rate]\n'
        'name = "piecewise_constant_schedule"\ninit_value = 1e-2\n'
        "boundaries_and_scales = { 4 = 1e38 }\n"
    )
    args = ["train", path, "--output-dir", folder]
    message = f" at step 5. {folder / 'checkpoints' / '4'} is intact. Lower optimizer."
    fails(capsys, args, message, code=1)
    assert [row["step"] for row in read_rows(folder)] == [2, 4]
    assert checkpoints.newest(folder) == folder / "checkpoints" / "4"
    assert not (folder / "summary.json").exists()


# Input


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train"], "a configuration file right after the command, got nothing"),
        (["train", "--resume"], "right after the command, got nothing"),
        (["train", "a.toml", "b.toml"], "command, got a.toml and b.toml"),
        (["sweep"], "a configuration file right after the command, got nothing"),
        (["measure"], "a configuration file right after the command, got nothing"),
        (["train", "absent.toml"], "got no such file"),
        (["train", "digits/absent"], "got no such file"),
        (["compare"], "at least one configuration file"),
        (["compare", "a.toml"], "got no such file"),
        (["sweep", "a.toml"], "got no such file"),
        (["reproduce"], "a paper, an experiment or a file, got none"),
        (["reproduce", "nothing", "--configs", "absent"], "got 'nothing'"),
    ],
)
def test_arguments_that_name_no_file(args, message, capsys):
    fails(capsys, args, message)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[estimator]\nname = "magic"', "estimator.name among"),
        ("[model]\nwidth = 3", "unknown key model.width"),
        ('[estimator]\nname = "rebar"\nspeed = 3', "unknown key estimator.speed"),
        ('[estimator]\nname = "gumbel_softmax"\ntemperature = 0.0', "temperature > 0"),
        ('[data]\nname = "pictures"', "Expected a data set among"),
    ],
)
def test_files_that_cannot_be_used_are_one_line(tmp_path, text, message, capsys):
    path = tmp_path / "run.toml"
    path.write_text(text)
    for command in ("train", "compare", "sweep"):
        args = [command, path, "--output-dir", tmp_path / "new"]
        fails(capsys, args, message)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "args",
    [
        ["--estimator.num-samples", "3"],
        ["--model.task", "magic"],
        ["--optimizer.learning-rate", "fast"],
    ],
)
def test_options_that_cannot_be_parsed_exit_with_two(configs, args, capsys):
    with pytest.raises(SystemExit) as info:
        main(["train", str(configs / "rebar.toml"), *args])
    assert info.value.code == 2
    assert args[0].removeprefix("--") in capsys.readouterr().err


def shows_help(capsys, args):
    with pytest.raises(SystemExit) as info:
        main([str(arg) for arg in args])
    assert info.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "compare", "sweep", "measure"])
def test_help_shows_the_values_of_the_file(configs, command, capsys):
    out = shows_help(capsys, [command, configs / "rebar.toml", "--help"])
    assert "--estimator.temperature" in out
    assert "--training.batch-size" in out
    assert "default: 450" in out
    assert "--output" in out


def test_help_of_one_of_several_estimators(configs, capsys):
    args = ["train", configs / "several.toml", "--only", "even", "--help"]
    assert "mean_field" not in shows_help(capsys, ["train", "--help"])
    assert "--training.batch-size" in shows_help(capsys, args)


def test_help_without_a_file_shows_the_commands_and_their_options(capsys):
    assert "reproduce" in shows_help(capsys, ["--help"])
    assert "--mesh" in shows_help(capsys, ["train", "--help"])
    assert "--short" in shows_help(capsys, ["reproduce", "rebar", "--help"])
    assert "fetch" in shows_help(capsys, ["data", "--help"])


def test_help_is_made_of_sentences_that_stand_alone(configs, capsys):
    """Fragments that lean on the line before are the ones that begin like these."""
    commands = ("train", "compare", "sweep", "measure", "reproduce")
    pages = [shows_help(capsys, [c, "--help"]) for c in commands]
    pages += [shows_help(capsys, ["train", configs / "rebar.toml", "--help"])]
    pages += [shows_help(capsys, ["data", c, "--help"]) for c in ("fetch", "verify")]
    for page in pages:
        text = " ".join(page.replace("│", " ").split())
        for fragment in ("likewise", "Which.", "Which of", "How many there", " Of the"):
            assert fragment not in text


def test_a_command_without_settings_refuses_them(capsys):
    with pytest.raises(SystemExit) as left:
        main(["data", "list", "--seed", "1"])
    assert left.value.code == 2
    assert "seed" in capsys.readouterr().err


# Several runs


def test_compare(configs, tmp_path, capsys):
    folder = tmp_path / "compare"
    files = [str(configs / f"{name}.toml") for name in NAMES]
    args = ["compare", *files, "--output-dir", str(folder)]
    changes = ["--seed", "1", "--training.num-steps", "4"]
    assert main([*args, *changes]) == 0
    results = json.loads((folder / "comparison.json").read_text())
    assert {r["run"] for r in results} == set(NAMES)
    elbos = [result["metrics"]["test_elbo"] for result in results]
    assert elbos[0] >= elbos[1]
    assert (folder / "comparison.png").read_bytes()[:8] == PNG
    for name in NAMES:
        assert len(read_rows(folder / name)) == 2
        config = json.loads((folder / name / "config.json").read_text())
        assert config["seed"] == 1
    table = capsys.readouterr().out
    assert table.rindex(results[0]["run"]) < table.rindex(results[1]["run"])
    fails(capsys, args, "Pass --resume")
    shutil.rmtree(folder / "reinforce")
    kept = content(folder / "mean_field")
    assert main([*args, *changes, "--resume"]) == 0
    assert [r["run"] for r in json.loads((folder / "comparison.json").read_text())] == [
        r["run"] for r in results
    ]
    metrics = folder / "mean_field" / "metrics.jsonl"
    assert metrics.read_bytes() == kept[metrics]


def test_only_estimators_may_differ_in_a_comparison(configs, tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace("num_latents = [2]", "num_latents = [3]"))
    new = ["--output-dir", tmp_path / "new"]
    compare = ["compare", configs / "rebar.toml"]
    fails(capsys, [*compare, other, *new], "Expected model.num_latents = [2] in every")
    fails(capsys, ["compare", other, other], "got other twice")
    schedule = (
        '[optimizer.learning_rate]\nname = "piecewise_constant_schedule"\n'
        "init_value = 0.1\nboundaries_and_scales = "
    )
    paths = [tmp_path / f"{i}.toml" for i in (2, 3)]
    for i, path in enumerate(paths, 2):
        path.write_text(TINY + schedule + f"{{ {i} = 0.5 }}\n")
    fails(capsys, ["compare", *paths, *new], "boundaries_and_scales.2 = 0.5 in every")
    assert not (tmp_path / "new").exists()


def test_compare_along_a_shared_trajectory(configs, tmp_path, capsys):
    folder, path = tmp_path / "shared", configs / "several.toml"
    args = ["compare", path, "--output-dir", folder, "--shared-trajectory"]
    fails(capsys, [*args, "odd"], "--shared-trajectory among plain, even, got 'odd'")
    assert not folder.exists()
    args = [*map(str, args), "plain", "--num-seeds", "2"]
    assert main([*args, "--training.num-steps", "4"]) == 0
    measured = json.loads((folder / "trajectory.json").read_text())
    assert measured["driver"] == "plain"
    assert measured["steps"] == 4
    assert measured["seeds"] == [0, 1]
    assert set(measured["runs"]) == {"plain", "even"}
    metrics = measured["runs"]["even"]["metrics"]
    assert len(metrics["log_variance"]["values"]) == 2
    out = capsys.readouterr().out
    assert "trajectory of plain" in out
    # A pathwise gradient of the mean varies less than a score function.
    assert out.index("even") < out.rindex("plain")


def test_sweep(configs, tmp_path, capsys):
    folder = tmp_path / "sweep"
    args = ["sweep", configs / "rebar.toml", "--output-dir", folder]
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
        (["--num-seeds", "0"], "--num-seeds >= 1, got 0"),
        (["--training.num-steps", "3"], "multiple of training.steps_per_block"),
        (["--only", "odd"], "--only among rebar"),
    ],
)
def test_sweeps_that_cannot_run(configs, tmp_path, args, message, capsys):
    folder = tmp_path / "new"
    sweep = ["sweep", configs / "rebar.toml", "--output-dir", folder]
    fails(capsys, [*sweep, *args], message)
    assert not folder.exists()


def test_settings_of_a_reproduction(tmp_path, capsys):
    """Of its grid, and nowhere else; those of runs are tested with what they are."""
    folder = tmp_path / "configs" / "talk"
    folder.mkdir(parents=True)
    (folder / "cos.toml").write_text(
        '[claim]\ntitle = "Cosine"\n[grid]\ntemperatures = [1.0]\n'
        '[estimators.reinforce]\nname = "reinforce"\n'
    )
    (folder.parent / "published.json").write_text("{}")
    out = tmp_path / "out"
    args = ["reproduce", "talk/cos", "--configs", str(folder.parent), "--short"]
    args += ["--output-dir", str(out), "--grid.num-gradients", "50"]
    assert main(args) == 0
    stored = json.loads((out / "talk" / "cos" / "short" / "result.json").read_text())
    assert stored["result"]["steps"] == 50
    fails(capsys, [*args[:-1], "1"], "grid.num_gradients >= 2, got 1")


def test_a_name_of_a_configuration_that_comes_along(tmp_path, monkeypatch, capsys):
    """In an empty folder, in which a path of that name wins."""
    monkeypatch.chdir(tmp_path)
    short = ["--training.num-steps", "2", "--training.steps-per-block", "2"]
    short += ["--training.batch-size", "450", "--evaluation.num-samples", "2"]
    assert main(["train", "digits/reinforce", *short]) == 0
    assert [row["step"] for row in read_rows(tmp_path / "runs/reinforce")] == [2]
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "reinforce").write_text("speed = 1")
    fails(capsys, ["train", "digits/reinforce"], "unknown key speed")


# The process


def test_interruption_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr("jaxdiscrete.experiments.commands.main.run", interrupted)
    monkeypatch.setattr("os._exit", leave)
    with pytest.raises(SystemExit) as left:
        main(["train"])
    assert left.value.code == 130
    assert "continue with --resume" in capsys.readouterr().err


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
