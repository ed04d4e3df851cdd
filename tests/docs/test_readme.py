"""The README is one page, and its example fifteen lines."""

import re

import pytest

from tests.helpers.documents import ROOT

README = ROOT / "README.md"
pytestmark = pytest.mark.skipif(
    not README.exists(), reason="the README is not part of an installed package"
)


def test_the_readme_is_one_page():
    assert len(README.read_text().splitlines()) <= 150


def test_the_example_is_fifteen_lines():
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
