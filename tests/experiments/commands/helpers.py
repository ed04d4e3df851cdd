"""Tiny settings for runs by the command line, and what they leave."""

import json

import pytest

from jaxdiscrete.experiments.cli import main
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


def read_rows(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def without_times(rows):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def restore(configs, folder):
    return helpers.restore(configs / "nvil.toml", folder)


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


def shows_help(capsys, args):
    with pytest.raises(SystemExit) as info:
        main([str(arg) for arg in args])
    assert info.value.code == 0
    return capsys.readouterr().out
