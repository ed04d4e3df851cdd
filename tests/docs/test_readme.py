"""The README runs."""

import pytest

from tests.helpers.documents import ROOT, run_document


def test_the_readme_runs():
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("the README is not part of an installed package")
    assert run_document(readme) >= 3
