"""The page of the docs is that of the results that are kept."""

from pathlib import Path

import pytest

from jaxdiscrete.experiments.report.__main__ import main

ROOT = Path(__file__).parents[3]


def test_the_docs_have_the_generated_page(tmp_path):
    if not (ROOT / "README.md").exists():
        pytest.skip("the docs are not part of an installed package")
    page = tmp_path / "docs" / "results.md"
    main(str(ROOT / "configs" / "results"), str(page))
    kept = ROOT / "docs" / "experiments" / "results.md"
    assert page.read_text() == kept.read_text(), "Run: make results"
