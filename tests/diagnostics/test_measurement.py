"""What the result of a measurement offers."""

import json
import sys

import pytest

import jaxdiscrete as jd
from tests.diagnostics.problems import cubic, loo, measure


@pytest.fixture(scope="module")
def result():
    names = {
        "reinforce": jd.reinforce,
        "leave-one-out": loo,
        "mean field": jd.mean_field,
    }
    return measure(names, f=lambda z: 5.0 + cubic(z), num_gradients=500)


def test_to_dict_is_plain_json(result):
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data == result.to_dict()
    assert data["num_gradients"] == 500
    assert data["coordinates"] == [f"q.logits[{i}]" for i in range(3)]
    assert data["oracle"]["is_exact"] is True
    reading = result.estimators["reinforce"]
    row = data["estimators"]["reinforce"]
    assert row["variance"] == reading.variance.tolist()
    assert row["total_variance"] == reading.total_variance
    assert row["variance_times_seconds"] == reading.total_variance * reading.seconds
    assert reading.seconds > 0
    assert data["estimators"]["mean field"]["signal_to_noise"] == [None] * 3
    assert measure({"r": jd.reinforce}, max_states=1).to_dict()["oracle"] is None


def test_the_text_has_one_row_per_estimator(result):
    lines = str(result).splitlines()
    assert lines[0] == "Gradient of 3 coordinates, 500 gradients of each estimator"
    assert lines[1] == "Oracle: exact, by enumeration of 8 joint states"
    tables = "\n".join(lines[2:]).strip().split("\n\n")
    headers = [table.splitlines()[0].split() for table in tables]
    assert headers[0] == ["estimator", "|bias|", "s.e.", "max", "|z|", "cosine"]
    ranked = ["mean field", "leave-one-out", "reinforce"]
    for table in tables:
        rows = table.splitlines()[1:]
        assert [row[: len(n)] for row, n in zip(rows, ranked, strict=True)] == ranked
        assert max(map(len, rows)) <= 80


def test_rich_shows_the_same_numbers(result):
    console = pytest.importorskip("rich.console").Console(width=80)
    with console.capture() as capture:
        console.print(result)
    shown = capture.get()
    assert "…" not in shown
    for line in str(result).splitlines()[2:]:
        for cell in line.replace("max |z|", "").split("  "):
            assert cell.strip() in shown


def test_the_figure_names_every_estimator(result):
    pytest.importorskip("matplotlib")
    variance, bias = result.plot().axes
    assert [t.get_text() for t in variance.get_yticklabels()] == [
        "reinforce",
        "leave-one-out",
        "mean field",
    ]
    assert variance.get_xscale() == "log"
    assert "variance x calls of f" in variance.get_xlabel()
    assert [t.get_text() for t in variance.texts] == ["zero"]
    assert "|bias|" in bias.get_xlabel()
    (alone,) = measure({"r": jd.reinforce(cubic)}, f=None).plot().axes
    assert alone.get_xlabel().startswith("variance (")


@pytest.mark.parametrize(
    ("module", "show"),
    [("rich.table", lambda r: r.__rich__()), ("matplotlib.figure", lambda r: r.plot())],
)
def test_what_is_not_installed_is_named(result, module, show, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'pip install "jaxdiscrete\[experiments\]"'):
        show(result)
