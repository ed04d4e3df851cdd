"""docs/distributions.md says what its generator finds when it tries."""

import runpy
import warnings

import jax
import pytest

from tests.helpers.documents import ROOT

GENERATOR = ROOT / "docs" / "generate_distributions.py"
pytestmark = [
    pytest.mark.filterwarnings("ignore:shape requires ndarray or scalar"),
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype"),
    pytest.mark.skipif(
        not GENERATOR.exists(),
        reason="documents are not part of an installed package",
    ),
]


def tried(library, names):
    """The lines of some distributions, as the generator writes them now."""
    generator = runpy.run_path(str(GENERATOR))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip(library, exc_type=ImportError)
    rows = [r for r in generator["LIBRARIES"][library] if r.name in names]
    # Their code is not written for the strictness of this suite.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return [f"| {' | '.join(generator['cells'](module, row))} |" for row in rows]


def test_every_row_is_on_the_page():
    generator = runpy.run_path(str(GENERATOR))
    text = generator["PAGE"].read_text()
    assert text.startswith(generator["HEAD"]), "Run make distributions."
    sections = text.split("\n## ")[1:]
    for section, rows in zip(sections, generator["LIBRARIES"].values(), strict=True):
        for row in rows:
            assert section.count(f"| `{row.name}` |") == 1, "Run make distributions."


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("distrax", "Categorical"),
        ("distrax", "Multinomial"),
        ("numpyro.distributions", "BinomialLogits"),
        ("tensorflow_probability.substrates.jax.distributions", "Poisson"),
    ],
)
def test_a_row_says_what_happens(library, name):
    text = GENERATOR.with_name("distributions.md").read_text()
    (line,) = tried(library, {name})
    assert line in text.splitlines(), "Run make distributions."


@pytest.mark.slow
@pytest.mark.parametrize("index", range(3))
def test_all_rows_say_what_happens(index):
    generator = runpy.run_path(str(GENERATOR))
    library, rows = list(generator["LIBRARIES"].items())[index]
    lines = generator["PAGE"].read_text().splitlines()
    assert set(tried(library, {row.name for row in rows})) <= set(lines)
