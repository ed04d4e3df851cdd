"""What the site's own extensions do: formulas, references, the repository's address."""

import json
import pathlib
import subprocess
import sys

import pytest

import jaxdiscrete as jd
from tests.helpers.documents import ROOT

DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(
    not (DOCS / "conf.py").exists(), reason="the site is not part of a distribution"
)
ADDRESS = "https://example.org/someone/jaxdiscrete"
PAGE = """\
# A page

```{repository} badges
```

```{repository} install
```

See [a file](../configs/digits/rebar.toml) and [more](../CHANGELOG.md).
"""
CONF = """\
import sys
sys.path.insert(0, {docs!r})
from site_build import repository as repositories
repository = {address!r}
project = "example"
extensions = ["myst_parser", "site_build.repository"]
html_theme = "sphinx_book_theme"
html_theme_options = repositories.theme_options(repository)
"""


@pytest.fixture
def site_build(monkeypatch):
    """The package of extensions, importable."""
    pytest.importorskip("sphinx", reason="the site is built with the extra docs")
    pytest.importorskip("latex2mathml", reason="the site is built with the extra docs")
    monkeypatch.syspath_prepend(str(DOCS))
    import site_build.mathml
    import site_build.references
    import site_build.repository

    return site_build


def test_formulas_need_no_script(site_build):
    markup = site_build.mathml.mathml(r"\nabla\log q_\phi(z)", block=True)
    assert markup.startswith("<math ")
    assert 'rspace="0.167em">log</mo>' in markup


def test_a_word_of_tex_that_is_unknown_is_an_error(site_build):
    with pytest.raises(
        ValueError, match=r"Expected TeX that MathML can show, got \\foo"
    ):
        site_build.mathml.mathml(r"\foo x", block=False)


def test_initials_of_authors_are_no_items_of_a_list(site_build):
    lines = ["References:", "  E. J. Gumbel, 1954.", "  >>> print(A. b)"]
    site_build.references.escape_initials(None, "", "", None, None, lines)
    assert lines == ["References:", "  E\\. J. Gumbel, 1954.", "  >>> print(A. b)"]


def test_pages_of_the_reference_are_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import generate_reference

    pages = dict(generate_reference.pages())
    for path, text in pages.items():
        assert path.read_text() == text, "Run make estimators."
    shown = "".join(pages.values())
    modules = {"bounds", "noise", "testing"}
    for name in set(jd.__all__) - modules:
        assert f" jaxdiscrete.{name}\n" in shown


def test_the_address_is_one_setting_and_empty():
    assert (DOCS / "conf.py").read_text().count('\nrepository = ""\n') == 1


def test_links_lead_to_pages_or_to_the_repository(site_build):
    relink = site_build.repository.relink
    text = "[a](../../notebooks/x.ipynb) [b](../../configs/c.toml) [d](keys.md)"
    assert relink(text, "guides/page", "") == (
        "[a](/notebooks/x.ipynb) b (`configs/c.toml`) [d](keys.md)"
    )
    assert f"[b]({ADDRESS}/blob/main/configs/c.toml)" in relink(
        text, "guides/page", ADDRESS
    )


def built(folder: pathlib.Path, address: str) -> str:
    """A page of a small site, with the settings that depend on the address."""
    (folder / "conf.py").write_text(CONF.format(docs=str(DOCS), address=address))
    (folder / "index.md").write_text(PAGE)
    (folder / "changelog.md").write_text("---\norphan: true\n---\n# Changes\n")
    command = [sys.executable, "-m", "sphinx", "-qW", "--keep-going"]
    result = subprocess.run(
        [*command, folder, folder / "html"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    names = ("index", "changelog")
    return "".join((folder / "html" / f"{name}.html").read_text() for name in names)


@pytest.mark.thorough
def test_what_needs_an_address_appears_with_one_only(site_build, tmp_path):
    for module in ("myst_parser", "sphinx_book_theme"):
        pytest.importorskip(module, reason="the site is built with the extra docs")
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    page = built(tmp_path / "with", ADDRESS)
    assert f"{ADDRESS}/actions/workflows/ci.yml/badge.svg" in page
    assert f"git+{ADDRESS}" in page
    assert f"{ADDRESS}/edit/main/docs/index.md" in page
    assert f"{ADDRESS}/edit/main/CHANGELOG.md" in page
    assert f"{ADDRESS}/edit/main/docs/changelog.md" not in page
    assert f"{ADDRESS}/blob/main/configs/digits/rebar.toml" in page
    page = built(tmp_path / "without", "")
    for word in ("example.org", "badge", "pip install", "colab", "edit/main"):
        assert word not in page
    assert "configs/digits/rebar.toml" in page


@pytest.mark.parametrize("path", sorted((DOCS / "gallery").glob("*.md")), ids=str)
def test_pages_of_the_gallery_can_be_opened_elsewhere(path):
    if path.stem != "index":
        assert "```{repository} install\n" in path.read_text()
        assert f"\n{path.stem}\n" in (path.parent / "index.md").read_text()


def test_notebooks_install_from_their_folder_or_from_the_address(site_build):
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        text = path.read_text()
        assert "%pip install -q .." in text or '%pip install -q \\"..[exp' in text
        changed = site_build.repository.with_address(text, path.name, ADDRESS)
        assert f"@ git+{ADDRESS}" in changed
        assert "install -q .." not in changed
        assert '\\"..[exp' not in changed
        assert f"someone/jaxdiscrete/blob/main/notebooks/{path.name})" in changed


def test_the_button_of_a_notebook_edits_the_notebook(site_build):
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        source = site_build.repository.source_of(f"notebooks/{path.stem}")
        assert (ROOT / source).samefile(path)
    assert site_build.repository.source_of("guides/keys") is None


@pytest.mark.thorough
def test_the_page_of_results_is_illustrated(site_build, tmp_path):
    pytest.importorskip("matplotlib", reason="charts need the extra experiments")
    from site_build import figures

    from jaxdiscrete.experiments.reproduce.results import read_summaries

    results = read_summaries(figures.RESULTS / "attention")
    (result,) = [r for r in results if r.experiment == "attention/realx"]
    text = figures.illustrated(
        f"# Results\n\n## Another\n\n## {result.paper}\n\nwords\n", [result], tmp_path
    )
    assert text.startswith(
        f"# Results\n\n## Another\n\n## {result.paper}\n\nwords\n\n:::"
    )
    assert "published numbers are marked" in text
    for path in sorted(tmp_path.iterdir()):
        assert f":::{{figure}} figures/{path.name}\n" in text
        assert b"<svg" in path.read_bytes()


def test_notebooks_of_the_site_are_those_of_the_repository():
    index = (DOCS / "index.md").read_text()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert json.loads(path.read_text())["cells"]
        assert f"\nnotebooks/{path.stem}\n" in index
