"""Images and curves, drawn without a display: the one module that plots."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter

from jaxdiscrete.experiments.output.folder import replacing
from jaxdiscrete.experiments.output.formatting import (
    find_metric,
    has_no_variance,
    label,
)

#: Okabe and Ito's colours, which people with any colour vision tell apart.
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
)
LINE_STYLES = ("-", "--", ":")
#: The same numbers give the same bytes; a name with "$" is no formula.
_REPRODUCIBLE: dict[Any, Any] = {
    "svg.hashsalt": "jaxdiscrete",
    "svg.fonttype": "path",
    "text.parse_math": False,
}
#: Letters side by side in the legend of a chart, about 6 of each entry for its line.
_LEGEND_WIDTH = 76
#: The panels of a run, by the first metric that it has.
_PANELS = (
    (
        "valid_elbo",
        "reward",
        "hard_objective",
        "excess",
        "nll_oracle",
        "valid_perplexity",
        "divergence",
        "valid_accuracy",
        "loss",
    ),
    ("log_variance",),
)


XAxis = Literal["step", "temperature", "variables", "offset"]


class Picture(NamedTuple):
    """Rows of images: ``[rows, columns, pixels]`` in [0, 1]."""

    images: np.ndarray
    labels: list[str]
    """One per row, or none at all."""
    title: str


class Line(NamedTuple):
    """One curve, with NaN for points that are missing."""

    label: str
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None = None
    """The half width of a band around it."""
    style: int = 0
    """The number of its colour and line style; curves of one run share it."""


class Mark(NamedTuple):
    """A published number beside the curve of the same style."""

    x: float
    y: float
    style: int


def save_picture(path: Path, picture: Picture, shape: tuple[int, int]) -> None:
    """Draws rows of images of a height and width, with a line around each."""
    rows, columns = picture.images.shape[:2]
    height, width = shape
    # One array with gaps: an axes of its own for every image takes seconds to draw.
    cells = np.full((rows, height + 1, columns, width + 1), np.nan)
    images = picture.images.reshape(rows, columns, height, width)
    cells[:, 1:, :, 1:] = images.swapaxes(1, 2)
    mosaic = cells.reshape(rows * (height + 1), columns * (width + 1))
    mosaic = np.pad(mosaic, ((0, 1), (0, 1)), constant_values=np.nan)
    figure = Figure(figsize=(0.7 * columns, 0.7 * rows))
    ax = figure.add_axes((0, 0, 1, 1))
    colours = matplotlib.colormaps["gray_r"].with_extremes(bad="0.6")
    ax.imshow(mosaic, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if picture.labels:
        centres = (np.arange(rows) + 0.5) * (height + 1)
        ax.set_yticks(centres, picture.labels)
        ax.tick_params(length=0)
    ax.set_title(picture.title, fontsize=11)
    # The images fill the figure, and the file grows by the room that words take.
    _save(path, figure, bbox_inches="tight", pad_inches=0.08)


def save_curves(
    path: Path, runs: Mapping[str, Sequence[Mapping[str, float]]], title: str
) -> None:
    """Draws bound (or reward, or loss) and gradient variance against steps.

    Args:
      path: PNG file.
      runs: rows of metrics by the run's name; with a single run the training ELBO
        is drawn beside the validation ELBO.
      title: the line above both panels.
    """
    first = next(iter(runs.values()))[0]
    with matplotlib.rc_context(_REPRODUCIBLE):
        found = [[m for m in candidates if m in first] for candidates in _PANELS]
        metrics = [of_panel[0] for of_panel in found if of_panel]
        figure = Figure(figsize=(5.5 * len(metrics), 4.4), layout="constrained")
        axes = figure.subplots(1, len(metrics), squeeze=False)[0]
        for ax, metric in zip(axes, metrics, strict=True):
            lines = [_with_variance(metric, line) for line in _lines(runs, metric)]
            _draw_curves(ax, metric, lines)
            if len(ax.lines) > len(runs):
                ax.set_ylabel("ELBO (nats)")
        if len(runs) > 1:
            handles, names = axes[0].get_legend_handles_labels()
            figure.legend(handles, names, loc="outside right center", frameon=False)
        elif len(axes[0].lines) > 1:
            axes[0].legend(frameon=False)
        figure.suptitle(title)
        _save(path, figure)


def svg_chart(
    metric: str, lines: Sequence[Line], marks: Sequence[Mark] = (), x: XAxis = "step"
) -> bytes:
    """One chart of a metric, as SVG that is the same every time."""
    lines = [_with_variance(metric, line) for line in lines]
    longest = max(len(line.label) for line in lines)
    columns = max(1, min(3, _LEGEND_WIDTH // (longest + 6)))
    rows = -(-len(lines) // columns)
    with matplotlib.rc_context(_REPRODUCIBLE):
        figure = Figure(figsize=(5, 3.2 + 0.2 * rows), layout="constrained")
        ax = figure.subplots()
        _draw_curves(ax, metric, lines, marks, x)
        figure.legend(
            loc="outside lower center", ncols=columns, frameon=False, fontsize=9
        )
        return _svg(figure)


def svg_plane(
    metrics: tuple[str, str], lines: Sequence[Line], published: Sequence[Line]
) -> bytes:
    """Two metrics against one another, as SVG that is the same every time.

    Args:
      metrics: those of x and y.
      lines: one per run, a point per temperature.
      published: the same of others, drawn as diamonds.
    """
    with matplotlib.rc_context(_REPRODUCIBLE):
        rows = len(lines) + len(published)
        figure = Figure(figsize=(5, 3.6 + 0.2 * rows), layout="constrained")
        ax = figure.subplots()
        for line in lines:
            style = _style(line.style) | {"marker": "o", "markersize": 4}
            ax.plot(line.x, line.y, label=line.label, **style)
        for line in published:
            style = {"marker": "D", "markersize": 4, "markerfacecolor": "white"}
            style |= {"color": _style(line.style)["color"], "linestyle": ":"}
            ax.plot(line.x, line.y, label=line.label, **style)
        known = [find_metric(metric) for metric in metrics]
        names = [m.label + (f" ({m.unit})" if m.unit else "") for m in known]
        ax.set(xlabel=names[0], ylabel=names[1])
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", frameon=False, fontsize=9)
        return _svg(figure)


def _draw_curves(
    ax: Axes,
    metric: str,
    lines: Sequence[Line],
    marks: Sequence[Mark] = (),
    x: XAxis = "step",
) -> None:
    for line in lines:
        style = _style(line.style)
        has_error = line.error is not None and np.isfinite(line.error).any()
        if x != "step":
            style |= {"marker": "o", "markersize": 4, "capsize": 3}
            error = line.error if has_error else None
            ax.errorbar(line.x, line.y, error, label=line.label, **style)
            continue
        marker = "o" if len(line.x) == 1 else ""
        ax.plot(line.x, line.y, marker=marker, markersize=4, label=line.label, **style)
        if has_error:
            low, high = line.y - line.error, line.y + line.error
            colour = style["color"]
            ax.fill_between(line.x, low, high, color=colour, alpha=0.2, linewidth=0)
    for i, mark in enumerate(marks):
        ax.plot(
            mark.x,
            mark.y,
            color=_style(mark.style)["color"],
            marker="D",
            markersize=6,
            markerfacecolor="white",
            linestyle="",
            clip_on=False,
            zorder=5,
            label="published" if i == 0 else None,
        )
    known = find_metric(metric)
    if known.starts_far_off:
        _zoom(ax, lines, [mark.y for mark in marks])
    if known.spans_decades:
        _make_logarithmic(ax, "y")
        # Error bars may reach zero, which a logarithmic axis does not have.
        ax.set_ylim(bottom=0.5 * min(float(np.nanmin(line.y)) for line in lines))
    unit = f" ({known.unit})" if known.unit else ""
    ax.set(xlabel=x, ylabel=known.label + unit)
    if x == "step":
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    else:
        _make_logarithmic(ax, "x", has_zero=x == "offset")
    ax.margins(x=0.02)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def _with_variance(metric: str, line: Line) -> Line:
    """A line without the points whose variance is zero, of which there is no logarithm.

    At the least number that float32 has they would squash all that can be compared.
    """
    y = np.array([np.nan if has_no_variance(metric, v) else v for v in line.y])
    if np.isfinite(y).any() or not np.isfinite(line.y).any():
        return line._replace(y=y)
    return line._replace(y=y, label=f"{line.label} (no variance)")


def _lines(
    runs: Mapping[str, Sequence[Mapping[str, float]]], metric: str
) -> list[Line]:
    """A metric of every run; of a single run the training bound, too."""
    if len(runs) == 1 and metric == "valid_elbo":
        (rows,) = runs.values()
        curves = [(label(m), rows, m) for m in ("valid_elbo", "train_elbo")]
    else:
        curves = [(name, rows, metric) for name, rows in runs.items()]
    return [
        Line(
            name,
            np.array([row["step"] for row in rows], float),
            np.array([row[key] for row in rows], float),
            style=i,
        )
        for i, (name, rows, key) in enumerate(curves)
    ]


def _style(i: int) -> dict[str, Any]:
    """All colours, then all of them again with the next line style."""
    return {
        "color": COLOURS[i % len(COLOURS)],
        "linestyle": LINE_STYLES[i // len(COLOURS) % len(LINE_STYLES)],
        "linewidth": 1.4,
    }


def _make_logarithmic(
    ax: Axes, name: Literal["x", "y"], *, has_zero: bool = False
) -> None:
    """Powers of ten as plain numbers, because text is never read as a formula."""
    ax.set(**{f"{name}scale": "symlog" if has_zero else "log"})
    axis = ax.xaxis if name == "x" else ax.yaxis
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _zoom(ax: Axes, lines: Sequence[Line], extra: Sequence[float]) -> None:
    """Leaves the first tenth of training out of the vertical range."""
    values = list(extra)
    for line in lines:
        start = len(line.y) // 10
        error = 0.0 if line.error is None else np.nan_to_num(line.error)
        for edge in (line.y - error, line.y + error):
            values += [v for v in edge[start:].tolist() if np.isfinite(v)]
    if values:
        margin = 0.05 * (max(values) - min(values)) or 1.0
        ax.set_ylim(min(values) - margin, max(values) + margin)


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=metadata)
    return buffer.getvalue()


def _save(path: Path, figure: Figure, **options: Any) -> None:
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, **options)
