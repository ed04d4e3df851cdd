"""Runs that were damaged, and runs that diverge."""

import json
import shutil

import jax
import numpy as np
import pytest

from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.training import checkpoints
from tests.experiments.commands.helpers import (
    TINY,
    content,
    fails,
    read_rows,
    restore,
    without_times,
)


@pytest.mark.thorough
def test_a_cut_line_of_metrics_is_named_and_can_be_deleted(
    configs, finished, copy, capsys
):
    """The checkpoint survives, and a resumed run goes on from it."""
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir", copy]
    path = copy / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])
    before = content(copy)
    fails(capsys, args, f"line 4 of {path}")
    assert content(copy) == before
    path.write_text("".join(lines[:3]))
    before = content(copy)
    fails(capsys, args, "none of step 8, before the checkpoint of step 8. Restore it")
    assert content(copy) == before
    shutil.rmtree(copy / "checkpoints" / "8")
    assert main([*map(str, args)]) == 0
    assert without_times(read_rows(copy)) == without_times(read_rows(finished))


def test_a_line_that_is_missing_or_lacks_a_key_is_named(configs, copy, capsys):
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir", copy]
    path = copy / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[2:]]))
    fails(capsys, args, f"a line of every block in {path}, got none of step 4")
    path.write_text("".join([lines[0], '{"step": 4, "loss": 1.0}\n', *lines[2:]]))
    fails(capsys, args, f"steps_per_second, seconds in line 2 of {path}")


def test_settings_of_another_type_are_named(configs, copy, capsys):
    path = copy / "config.json"
    settings = json.loads(path.read_text())
    settings["training"]["num_steps"] = "8"
    path.write_text(json.dumps(settings))
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir", copy]
    fails(capsys, args, f"training.num_steps to be an integer in {path}, got '8'")


def test_a_folder_in_the_place_of_a_file_is_named(configs, copy, capsys):
    (copy / "summary.json").unlink()
    (copy / "summary.json").mkdir()
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir", copy]
    fails(capsys, args, "Expected to read and write files, got: Is a directory", code=1)


@pytest.mark.thorough
def test_a_run_that_was_stopped_before_it_began_can_be_started(
    configs, copy, tmp_path, capsys
):
    args = ["train", configs / "nvil.toml", "--training.num-steps", "2"]
    args += ["--output-dir", tmp_path / "empty"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".config.123.json").write_text("{")
    fails(capsys, args, "It is empty: start a run there with --overwrite")
    fails(capsys, [*args, "--resume"], "It is empty: start a run there")
    assert main([*map(str, args), "--overwrite"]) == 0
    (copy / "config.json").unlink()
    args = ["train", configs / "nvil.toml", "--output-dir", copy]
    before = content(copy)
    for option in ([], ["--resume"], ["--overwrite"]):
        fails(capsys, [*args, *option], "Delete the folder yourself")
    assert content(copy) == before


def test_a_link_is_not_overwritten(configs, copy, tmp_path, capsys):
    link = tmp_path / "link"
    link.symlink_to(copy)
    before = content(copy)
    args = ["train", configs / "nvil.toml", "--output-dir", link, "--overwrite"]
    fails(capsys, args, f"Give the folder itself: {copy}")
    assert content(copy) == before


def test_a_run_that_lost_all_metrics_says_how_to_go_on(configs, copy, capsys):
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir", copy]
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


def without_its_damaged_checkpoint(configs, copy, capsys):
    """How the command goes on where a damaged checkpoint was named and deleted."""
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir", copy]
    newest = copy / "checkpoints" / "8"
    damage(newest)
    before = content(copy)
    fails(capsys, args, f"Expected an intact checkpoint in {newest}")
    assert content(copy) == before
    shutil.rmtree(newest)
    assert int(restore(configs, copy).step) == 4
    return args


def test_a_damaged_checkpoint_is_named(configs, copy, capsys):
    without_its_damaged_checkpoint(configs, copy, capsys)


@pytest.mark.thorough
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(
    configs, finished, copy, capsys
):
    args = without_its_damaged_checkpoint(configs, copy, capsys)
    assert main([str(arg) for arg in args]) == 0
    jax.tree.map(
        np.testing.assert_array_equal,
        restore(configs, copy),
        restore(configs, finished),
    )
    assert without_times(read_rows(copy)) == without_times(read_rows(finished))


def test_what_is_left_of_a_run_is_named(configs, copy, capsys):
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir", copy]
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


@pytest.mark.thorough
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
