"""docs/estimators.md is what its generator writes, and names every estimator."""

import runpy

import pytest

from jaxdiscrete.core.facts import ESTIMATORS
from tests.helpers.documents import ROOT

GENERATOR = ROOT / "docs" / "generate_estimators.py"
pytestmark = pytest.mark.skipif(
    not GENERATOR.exists(), reason="documents are not part of an installed package"
)


def test_the_page_is_up_to_date():
    generator = runpy.run_path(str(GENERATOR))
    text = generator["page"]()
    assert generator["PAGE"].read_text() == text, "Run make estimators."
    for name in ESTIMATORS:
        assert text.count(f"| `{name}(") == 1


def test_the_readme_names_estimators_that_exist():
    table = (ROOT / "README.md").read_text().split("## The estimators")[1]
    table = table.split("[All of them]")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert 10 <= len(rows) <= 16
    for row in rows:
        for name in row.split("|")[1].split("`")[1::2]:
            assert name.removeprefix("jd.") in ESTIMATORS
