"""Files with images and curves."""

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxdiscrete.experiments.output import figures
from jaxdiscrete.experiments.output.figures import Line, Mark, Picture

ROWS = [
    {
        "step": step,
        "train_elbo": -100.0 - 500 * np.exp(-step / 2000),
        "valid_elbo": -101.0 - 500 * np.exp(-step / 2000),
        "loss": 100.0,
        "log_variance": -4.0,
    }
    for step in range(1000, 30_001, 1000)
]
TOY_ROWS = [{"step": s, "loss": 0.25, "log_variance": -4.0} for s in (100, 200)]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    kept = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda f, *a, **k: kept.append(f) or save(f, *a, **k)
    )
    return kept


def test_images(tmp_path, drawn):
    images = np.arange(48).reshape(2, 3, 8) / 48
    path = tmp_path / "images.png"
    figures.save_picture(path, Picture(images, ["a", "b"], "title"), (2, 4))
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert [p.name for p in tmp_path.iterdir()] == ["images.png"]
    (ax,) = drawn[0].axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    shown = np.ma.filled(ax.images[0].get_array(), np.nan)
    # Every image at its row and column, with a line between and around them.
    assert shown.shape == (2 * 3 + 1, 3 * 5 + 1)
    np.testing.assert_array_equal(shown[4:6, 6:10], images[1, 1].reshape(2, 4))
    assert np.isnan(shown[::3]).all()
    assert np.isnan(shown[:, ::5]).all()
    assert not np.isnan(shown[1:3, 1:5]).any()


def test_no_label_or_title_is_cut(tmp_path):
    path, images = tmp_path / "images.png", np.zeros((2, 1, 8))
    names = ["straight_through_gumbel_softmax", "x"]
    figures.save_picture(path, Picture(images, names, "A title " * 6), (2, 4))
    shown = matplotlib.image.imread(path)[..., :3]
    assert shown.min() < 0.5
    for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1]):
        assert (edge == 1.0).all()


def test_one_run_shows_both_bounds(tmp_path, drawn):
    figures.save_curves(tmp_path / "curves.png", {"rebar": ROWS}, "title")
    bound, variance = drawn[0].axes
    assert bound.get_ylabel() == "ELBO (nats)"
    assert [line.get_label() for line in bound.lines] == ["valid. ELBO", "train ELBO"]
    assert variance.get_ylabel() == "log variance"
    # The first tenth of training is left out of the vertical range.
    assert bound.get_ylim()[0] > -250
    assert bound.lines[0].get_ydata().min() < -350


def test_several_runs_share_a_legend(tmp_path, drawn):
    names = [f"run {i}" for i in range(9)]
    figures.save_curves(tmp_path / "x.png", dict.fromkeys(names, ROWS), "title")
    bound, _ = drawn[0].axes
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == names
    styles = {(line.get_color(), line.get_linestyle()) for line in bound.lines}
    assert len(styles) == len(names)


def test_runs_without_a_bound_show_their_loss(tmp_path, drawn):
    figures.save_curves(tmp_path / "x.png", {"toy": TOY_ROWS}, "title")
    assert [ax.get_ylabel() for ax in drawn[0].axes] == ["loss", "log variance"]


def test_a_run_without_a_variance_has_one_panel(tmp_path, drawn):
    rows = [{"step": i, "reward": 10.0 * i, "loss": -10.0 * i} for i in (1, 2)]
    figures.save_curves(tmp_path / "x.png", {"policy": rows}, "title")
    assert [ax.get_ylabel() for ax in drawn[0].axes] == ["reward"]


@pytest.mark.parametrize("x", ["variables", "offset"])
def test_measurements_against_others_have_marks_and_a_logarithmic_axis(x, drawn):
    line = Line("a", np.array([0.0, 10.0, 1000.0]), np.array([1.0, 2.0, 30.0]))
    figures.svg_chart("variance", [line], x=x)
    (ax,) = drawn[0].axes
    assert ax.get_xscale() == ("symlog" if x == "offset" else "log")
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == x


def test_a_variance_of_zero_is_told_and_not_drawn(tmp_path, drawn):
    """The axis is that of the others; a legend has the room that its words take."""
    x, zero = np.arange(3.0), np.log(np.finfo(np.float32).tiny)
    lines = [
        Line("never", x, np.full(3, zero), np.zeros(3), style=0),
        Line("once", x, np.array([zero, -3.0, -2.0]), style=1),
        *(Line(f"a name of this length {i}", x, x - 9.0, style=i) for i in (2, 3)),
    ]
    figures.svg_chart("encoder_log_variance", lines)
    figures.svg_chart("loss", lines)
    rows = [TOY_ROWS[0] | {"log_variance": zero}] * 2
    figures.save_curves(tmp_path / "x.png", {"a": TOY_ROWS, "b": rows}, "title")
    chart, loss, saved = drawn
    (ax,), _ = chart.axes, chart.canvas.draw()
    assert ax.get_ylim()[0] > -10.0
    names = [text.get_text() for text in chart.legends[0].get_texts()]
    assert names[:2] == ["never (no variance)", "once"]
    assert np.isnan(ax.lines[0].get_ydata()).all()
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [np.nan, -3.0, -2.0])
    box = chart.legends[0].get_window_extent()
    assert box.x0 >= 0.0
    assert box.x1 <= chart.bbox.x1
    # Of what is no logarithm of a variance, such a number is a number.
    assert loss.axes[0].get_ylim()[0] < zero
    assert saved.axes[1].get_ylim()[0] > -10.0


def test_the_same_numbers_give_the_same_bytes():
    x = np.arange(3.0)
    lines = [Line("a $x$", x, x**2, x / 10, 0), Line("b", x, np.nan * x, None, 1)]
    marks = [Mark(1.0, 2.0, 0)]
    one, other = (figures.svg_chart("loss", lines, marks) for _ in range(2))
    assert one == other
    assert one.startswith(b"<?xml")


def test_a_chart_with_marks_has_them_in_range(drawn):
    x = np.linspace(0, 1e5, 50)
    lines = [Line("a", x, -100 - 500 * np.exp(-x / 2000))]
    figures.svg_chart("train_elbo", lines, [Mark(5e4, -90.0, 0)])
    low, high = drawn[0].axes[0].get_ylim()
    assert low > -170
    assert high > -90
