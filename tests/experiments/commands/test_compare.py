"""Comparisons by the command line."""

import json
import shutil

import pytest

from jaxdiscrete.experiments.cli import main
from tests.experiments.commands.helpers import (
    NAMES,
    PNG,
    TINY,
    content,
    fails,
    read_rows,
)


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_a_comparison_is_continued(configs, tmp_path):
    """Runs that are there go on, and the others start."""
    folder = tmp_path / "compare"
    files = [str(configs / f"{name}.toml") for name in NAMES]
    args = ["compare", *files, "--output-dir", str(folder)]
    changes = ["--seed", "1", "--training.num-steps", "4"]
    assert main([*args, *changes]) == 0
    results = (folder / "comparison.json").read_text()
    shutil.rmtree(folder / "reinforce")
    kept = content(folder / "mean_field")
    assert main([*args, *changes, "--resume"]) == 0
    again = (folder / "comparison.json").read_text()
    names = [[r["run"] for r in json.loads(text)] for text in (results, again)]
    assert names[0] == names[1]
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
