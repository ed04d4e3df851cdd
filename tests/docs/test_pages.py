"""Every page runs, prints what it says it prints, and links to what is there."""

import pytest

import jaxdiscrete as jd
from tests.helpers.documents import DOCUMENTS, ROOT, links, names, run_document

PROGRAMS = [path for path in DOCUMENTS if "```python" in path.read_text()]
NEEDED = {
    "recipes": ("flax", "equinox"),
    "other_libraries": ("distrax",),
    "numpyro": ("numpyro",),
    "saving": ("orbax.checkpoint",),
}


#: What is run every day.
SHORT = ("README",)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


PAGES = [
    pytest.param(
        p, marks=() if p.stem in SHORT else pytest.mark.thorough, id=name_of(p)
    )
    for p in PROGRAMS
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", PAGES)
def test_the_page_runs(path):
    for module in NEEDED.get(path.stem, ()):
        pytest.importorskip(module, reason="the page is for its users")
    run_document(path)


@pytest.mark.skipif(
    not (ROOT / "notebooks").exists(),
    reason="a source distribution has not all that its pages link to",
)
@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_and_names_exist(path):
    assert [link for link in links(path) if not link.exists()] == []
    assert names(path) <= set(jd.__all__)


def test_there_are_pages():
    if not (ROOT / "README.md").exists():
        pytest.skip("documents are not part of an installed package")
    assert len(PROGRAMS) > 5
