"""Runs that were damaged, and runs that diverge."""

import shutil

import jax
import numpy as np

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
    longer = [*map(str, args), "--training.num-steps", "10"]
    assert main(longer) == 0
    assert [row["step"] for row in read_rows(copy)] == [2, 4, 6, 10]
    assert read_rows(copy)[:3] == read_rows(finished)[:3]


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


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(
    configs, finished, copy, capsys
):
    args = ["train", configs / "nvil.toml", "--resume", "--output-dir", copy]
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
