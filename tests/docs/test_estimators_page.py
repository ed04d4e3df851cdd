"""docs/estimators.md is what its generator writes, and names every estimator."""

import json
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


@pytest.mark.thorough
def test_the_costs_are_those_of_the_compiled_programs(monkeypatch):
    monkeypatch.syspath_prepend(GENERATOR.parent)
    costs = runpy.run_path(str(GENERATOR.parent / "measure_costs.py"))
    stored = json.loads(costs["FILE"].read_text())
    assert stored["problem"] == costs["PROBLEM"]
    for name, cost in costs["measure"](["reinforce_loo", "rebar", "exact"]).items():
        expected = pytest.approx(float(stored["flops"][name]), rel=0.1)
        assert float(cost) == expected, "Run make costs."


def test_the_readme_names_estimators_that_exist():
    table = (ROOT / "README.md").read_text().split("## The estimators")[1]
    table = table.split("[All of them]")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert 10 <= len(rows) <= 16
    for row in rows:
        for name in row.split("|")[1].split("`")[1::2]:
            assert name.removeprefix("jd.") in ESTIMATORS
