"""Curves of a report, as images that a page can hold in itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from jaxdiscrete.experiments.report.formatting import is_number, label, number

# Okabe and Ito's colours, which people with any colour vision tell apart.
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
)
LINES = ("-", "--", ":")
#: Metrics whose first tenth of training would hide all the rest.
ZOOMED = ("elbo", "bound", "likelihood")
PNG = b"\x89PNG\r\n\x1a\n"


class Image(NamedTuple):
    """An image in the page: what it shows, in words, and its bytes as a data URI."""

    title: str
    alt: str
    uri: str


class _Line(NamedTuple):
    run: str
    steps: np.ndarray
    mean: np.ndarray
    error: np.ndarray


def curves(result: Mapping[str, Any]) -> list[Image]:
    """One chart a metric, with one line a run and a band of ± one standard error.

    Published numbers of the same metric are marked where their step is within the run.

    Args:
      result: of an experiment.

    Returns:
      The charts, in the order of the metrics; none for metrics without any number.
    """
    runs = {name: run.get("curve") or {} for name, run in _runs(result).items()}
    end = result.get("steps") or 0
    metrics = dict.fromkeys(key for curve in runs.values() for key in curve)
    has_errors = len(result.get("seeds") or []) > 1
    images = []
    for metric in metrics:
        if metric == "step":
            continue
        lines = {}
        for i, (name, curve) in enumerate(runs.items()):
            values = curve.get(metric) or {}
            errors = values.get("se") if has_errors else None
            lines[i] = _line(name, curve.get("step"), values.get("mean"), errors)
        published = [
            item
            for item in result.get("published") or []
            if item.get("metric") == metric
            and is_number(item.get("step"))
            and item["step"] <= end
            and is_number(item.get("value"))
        ]
        images += _chart(metric, label(metric), lines, published)
    return images


def shared_curve(result: Mapping[str, Any]) -> list[Image]:
    """Log variances at the same parameters, one line a run.

    Args:
      result: of an experiment.

    Returns:
      One chart, or none if nothing was measured.
    """
    shared = result.get("shared_trajectory") or {}
    curve = shared.get("curve") or {}
    # A run has the same colour in all charts of an experiment.
    order = list(dict.fromkeys([*_runs(result), *(k for k in curve if k != "step")]))
    lines = {
        i: _line(name, curve.get("step"), curve[name], None)
        for i, name in enumerate(order)
        if name in curve
    }
    title = f"log variance along the trajectory of {shared.get('driver')}"
    return _chart("log_variance", title, lines, [])


def pictures(result: Mapping[str, Any]) -> list[Image]:
    """The images of a result that are there.

    Args:
      result: of an experiment.

    Returns:
      Every PNG file among its ``images``.
    """
    images = []
    for name, path in (result.get("images") or {}).items():
        try:
            data = Path(path).read_bytes()
        except OSError:
            continue
        if data.startswith(PNG):
            title = label(name)
            alt = f"{title[:1].upper()}{title[1:]} of {result['experiment']}"
            images.append(Image(title, alt, _uri("image/png", data)))
    return images


def _chart(
    metric: str,
    title: str,
    lines: Mapping[int, _Line],
    published: list[Mapping[str, Any]],
) -> list[Image]:
    lines = {i: line for i, line in lines.items() if np.isfinite(line.mean).any()}
    if not lines:
        return []
    # The same numbers give the same bytes; a name with "$" is no formula.
    with matplotlib.rc_context(
        {
            "svg.hashsalt": "jaxdiscrete",
            "svg.fonttype": "path",
            "text.parse_math": False,
        }
    ):
        return [_draw(metric, title, lines, published)]


def _draw(
    metric: str,
    title: str,
    lines: Mapping[int, _Line],
    published: list[Mapping[str, Any]],
) -> Image:
    rows = -(-len(lines) // 3)
    figure = Figure(figsize=(5, 3.2 + 0.2 * rows), layout="constrained")
    ax = figure.subplots()
    for i, line in lines.items():
        colour = COLOURS[i % len(COLOURS)]
        style = LINES[i // len(COLOURS) % len(LINES)]
        marker = "o" if len(line.steps) == 1 else ""
        ax.plot(
            line.steps,
            line.mean,
            color=colour,
            linestyle=style,
            marker=marker,
            markersize=4,
            linewidth=1.4,
            label=line.run,
        )
        low, high = line.mean - line.error, line.mean + line.error
        if np.isfinite(low).any():
            ax.fill_between(line.steps, low, high, color=colour, alpha=0.2, linewidth=0)
    names = {line.run: i for i, line in lines.items()}
    marked = [p for p in published if p.get("run") in names]
    for i, item in enumerate(marked):
        ax.plot(
            item["step"],
            item["value"],
            color=COLOURS[names[item["run"]] % len(COLOURS)],
            marker="D",
            markersize=6,
            markerfacecolor="white",
            linestyle="",
            clip_on=False,
            zorder=5,
            label="published" if i == 0 else None,
        )
    if any(word in metric for word in ZOOMED):
        _zoom(ax, list(lines.values()), [item["value"] for item in marked])
    unit = " (nats)" if any(word in metric for word in ZOOMED) else ""
    ax.set(xlabel="step", ylabel=label(metric) + unit)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.margins(x=0.02)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return Image(title, _words(metric, title, lines, marked), _svg(figure))


def _words(
    metric: str,
    title: str,
    lines: Mapping[int, _Line],
    marked: list[Mapping[str, Any]],
) -> str:
    ends = []
    for line in lines.values():
        end = np.flatnonzero(np.isfinite(line.mean))[-1]
        value = number(float(line.mean[end]), metric)
        ends.append(f"{line.run} {value} at step {line.steps[end]:,.0f}")
    also = "; published numbers are marked" if marked else ""
    return f"Chart of {title} against steps. Last values: {', '.join(ends)}{also}."


def _line(run: str, steps: Any, mean: Any, error: Any) -> _Line:
    """Arrays of one length, with NaN for what is missing."""
    x, y = _array(steps), _array(mean)
    size = min(len(x), len(y))
    e = _array(error)
    e = e[:size] if len(e) >= size else np.full(size, np.nan)
    return _Line(run, x[:size], y[:size], e)


def _array(values: Any) -> np.ndarray:
    cleaned = [v if is_number(v) else np.nan for v in values or []]
    return np.array(cleaned, dtype=float)


def _zoom(ax: Axes, lines: list[_Line], extra: list[float]) -> None:
    """Leaves the first tenth of training out of the vertical range."""
    values = list(extra)
    for line in lines:
        start = len(line.mean) // 10
        error = np.nan_to_num(line.error)
        for edge in (line.mean - error, line.mean + error):
            values += [v for v in edge[start:].tolist() if np.isfinite(v)]
    if values:
        margin = 0.05 * (max(values) - min(values)) or 1.0
        ax.set_ylim(min(values) - margin, max(values) + margin)


def _svg(figure: Figure) -> str:
    buffer = io.BytesIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=metadata)
    return _uri("image/svg+xml", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _runs(result: Mapping[str, Any]) -> dict[str, Any]:
    return dict(result.get("runs") or {})
