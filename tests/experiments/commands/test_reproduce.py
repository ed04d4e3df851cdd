"""Reproductions by the command line."""

import json

from jaxdiscrete.experiments.cli import main
from tests.experiments.commands.helpers import (
    fails,
)


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
