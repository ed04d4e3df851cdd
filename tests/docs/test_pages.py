"""Every document runs, and prints what it says it prints."""

import pytest

from tests.helpers.documents import ROOT, run_document

DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_the_document_runs(path):
    for module in {"recipes": ("flax", "equinox")}.get(path.stem, ()):
        pytest.importorskip(module, reason="the recipe is for its users")
    run_document(path)


def test_there_are_documents():
    if not (ROOT / "README.md").exists():
        pytest.skip("documents are not part of an installed package")
    assert DOCUMENTS
