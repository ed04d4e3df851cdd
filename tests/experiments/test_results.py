"""The README's table is that of the summaries that are kept."""

import json
from pathlib import Path

import pytest

from jaxdiscrete.experiments.config import load_experiment
from jaxdiscrete.experiments.report.__main__ import with_table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "configs" / "results"
SUMMARIES = sorted(RESULTS.rglob("*.json"))


def test_the_readme_has_the_generated_table():
    text = (ROOT / "README.md").read_text()
    assert with_table(text, RESULTS) == text


@pytest.mark.parametrize("path", SUMMARIES, ids=lambda p: p.stem)
def test_a_summary_says_how_it_was_made(path):
    result = json.loads(path.read_text())
    assert path.relative_to(RESULTS).as_posix() == (
        f"{result['experiment']}-{result['length']}.json"
    )
    assert result["versions"].keys() >= {"python", "jax", "jaxlib", "jaxdiscrete"}
    assert result["device"]
    assert result["seeds"]
    assert result["steps"] > 0
    config = load_experiment(ROOT / "configs" / f"{result['experiment']}.toml")
    assert result["runs"].keys() <= config.runs.keys()
    texts = [e.text for e in config.claim.expectations]
    assert [e["text"] for e in result["expectations"]] == texts
    assert len(path.read_bytes()) < 200_000
