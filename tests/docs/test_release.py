"""One version everywhere that names it."""

import re

import pytest

import jaxdiscrete as jd
from tests.helpers.documents import ROOT


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("CITATION.cff", r"^version: (.*)$"),
        ("CHANGELOG.md", r"^## (.*)$"),
    ],
)
def test_the_newest_version_is_that_of_the_package(file, pattern):
    path = ROOT / file
    if not path.exists():
        pytest.skip(f"{file} is not part of an installed package")
    newest = re.findall(pattern, path.read_text(), re.MULTILINE)[0]
    assert newest == jd.__version__


def test_the_supported_versions_are_those_of_the_package():
    page = ROOT / "docs" / "developer" / "release.md"
    if not page.exists():
        pytest.skip("documents are not part of an installed package")
    required = (ROOT / "pyproject.toml").read_text()
    for name, version in re.findall(
        r"^\| (\w+) \| ([\d.]+) \|", page.read_text(), re.M
    ):
        word = "requires-python = " if name == "Python" else name.lower()
        assert f'{word}">={version}"' in required or f"{word}>={version}" in required
