"""The numbers in which the executed pages of the site end.

Pages are executed once, by ``make docs``, and their outputs kept for their source and
the version of the library; here they are read.
"""

import re
import sys

import pytest

from tests.helpers.documents import ROOT

DOCS = ROOT / "docs"
#: The last number of each page lies between these.
RANGES = {
    "getting_started": (8, 8),
    "gallery/discrete_vae": (1.0, 5.0),
    "gallery/hard_attention": (0.8, 1.0),
    "gallery/feature_selection": (0.93, 1.0),
    "gallery/mixture_of_experts": (0.0, 0.75),
    "gallery/vector_quantisation": (0.0, 0.45),
    "gallery/policy_gradient": (-1.3, -0.9),
    "gallery/text": (1.3, 3.0),
    "gallery/assignment": (0.75, 1.0),
    "gallery/architecture_choice": (0.0, 0.2),
    "gallery/semi_supervised": (0.01, 0.15),
    "gallery/rewards_from_outside": (5.5, 7.0),
    "gallery/black_box_simulator": (0, 10),
}


def executed(name):
    """The page with its outputs, or a skip that says how to make them."""
    if not DOCS.exists():
        pytest.skip("the site is not part of an installed package")
    pytest.importorskip("jupyter_cache", reason="pages are executed by the extra docs")
    sys.path.insert(0, str(DOCS))
    try:
        from site_build import cache
    finally:
        sys.path.remove(str(DOCS))
    found = cache.find(f"{name}.md")
    if found is None:
        pytest.skip(f"make docs has not executed {name}.md with this library")
    return found


@pytest.mark.parametrize("name", RANGES)
def test_the_number_at_the_end(name):
    cells = [cell for cell in executed(name).cells if cell.cell_type == "code"]
    outputs = [out for cell in cells for out in cell.outputs]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    text = "".join(out.text for out in outputs if out.get("name") == "stdout")
    number = float(re.findall(r"-?\d+(?:\.\d+)?", text.replace(" of 4096", ""))[-1])
    low, high = RANGES[name]
    assert low <= number <= high


def test_every_executed_page_has_a_range():
    pages = {
        path.relative_to(DOCS).with_suffix("").as_posix()
        for path in DOCS.rglob("*.md")
        if "{code-cell}" in path.read_text()
    }
    assert pages in (set(RANGES), set())
