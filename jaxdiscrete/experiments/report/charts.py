"""Curves of a report, as images that a page can hold in itself."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from jaxdiscrete.experiments.output.figures import (
    Line,
    Mark,
    XAxis,
    svg_chart,
    svg_plane,
)
from jaxdiscrete.experiments.output.formatting import (
    as_given,
    has_no_variance,
    label,
    number,
)
from jaxdiscrete.experiments.output.records import Band, MeasuredRun
from jaxdiscrete.experiments.reproduce.results import Result

PNG = b"\x89PNG\r\n\x1a\n"
_OF_GRIDS = ("bias", "log_variance")
#: Pairs of metrics of which one says how good samples are, the other how different.
_PLANES = (
    ("nll_oracle", "nll_test"),
    ("forward_perplexity", "reverse_perplexity"),
)
_AT = " at inverse temperature "


class Image(NamedTuple):
    """An image in the page: what it shows, in words, and its bytes as a data URI."""

    title: str
    alt: str
    uri: str


def claimed(result: Result) -> list[Image]:
    """Charts of the metrics that claims are about, and of what all runs share.

    Published numbers are marked where the runs are as long.
    """
    published = [outcome.metric for outcome in result.published]
    expected = [outcome.metric for outcome in result.expectations]
    metrics = dict.fromkeys([*published, *expected])
    return [
        *quality_against_diversity(result),
        *shared_curve(result),
        *against_temperature(result),
        *curves(result, metrics),
    ]


def curves(result: Result, metrics: Iterable[str] | None = None) -> list[Image]:
    """One chart per metric, with one line per run and a band of ± one standard error.

    Published numbers of the same metric are marked where their step is within the run.

    Args:
      result: of an experiment.
      metrics: those that are drawn, where a run has them. Default: all.
    """
    if metrics is None:
        runs = result.runs.values()
        metrics = dict.fromkeys(m for r in runs for m in r.curves.metrics)
    images = []
    for metric in metrics:
        lines = [
            _line(name, run.curves.steps, run.curves.metrics[metric], style)
            for style, (name, run) in enumerate(result.runs.items())
            if metric in run.curves.metrics
        ]
        styles = {line.label: line.style for line in lines}
        marks = [
            Mark(outcome.step, outcome.value, styles[outcome.run])
            for outcome in result.published
            if outcome.metric == metric
            and outcome.step <= result.steps
            and outcome.run in styles
        ]
        images += _chart(metric, label(metric), lines, marks)
    return images


def shared_curve(result: Result) -> list[Image]:
    """Log variances at the same parameters, one line per run, if there are any."""
    shared = result.shared_trajectory
    if shared is None:
        return []
    # A run has the same colour in all charts of an experiment.
    order = list(dict.fromkeys([*result.runs, *shared.log_variance]))
    lines = [
        _line(name, shared.curve_steps, Band(values, None), order.index(name))
        for name, values in shared.log_variance.items()
    ]
    title = f"log variance along the trajectory of {shared.driver}"
    return _chart("log_variance", title, lines, [])


def against_temperature(result: Result) -> list[Image]:
    """Bias and variance of a grid of estimators; none for runs that were trained.

    Estimators without a temperature are lines across all of them.
    """
    if any("bias" not in run.final for run in result.runs.values()):
        return []
    grid: dict[str, dict[float | None, MeasuredRun]] = {}
    for run in result.runs.values():
        grid.setdefault(run.estimator, {})[_temperature(run)] = run
    temperatures = sorted({t for runs in grid.values() for t in runs if t is not None})
    if not temperatures:
        return []
    images = []
    for metric in _OF_GRIDS:
        lines = [
            _grid_line(name, runs, temperatures, metric, style)
            for style, (name, runs) in enumerate(grid.items())
        ]
        images += _chart(metric, label(metric), lines, [], "temperature")
    return images


def against_others(result: Result) -> list[Image]:
    """What was measured against something else, with one line per run."""
    runs = list(enumerate(result.runs.items()))
    curves = [
        (x, m) for _, (_, r) in runs for x, c in r.against.items() for m in c.metrics
    ]
    images = []
    for x, metric in dict.fromkeys(curves):
        lines = [
            _line(name, run.against[x].steps, run.against[x].metrics[metric], style)
            for style, (name, run) in runs
            if x in run.against and metric in run.against[x].metrics
        ]
        images += _chart(metric, label(metric), lines, [], cast(XAxis, x))
    return images


def _temperature(run: MeasuredRun) -> float | None:
    """A number, or the schedule that is always that number."""
    name = "estimator.temperature"
    names = (name, f"{name}.arguments.value")
    return next((run.settings[n] for n in names if n in run.settings), None)


def _grid_line(
    name: str,
    runs: Mapping[float | None, MeasuredRun],
    temperatures: Sequence[float],
    metric: str,
    style: int,
) -> Line:
    x = [t for t in temperatures if t in runs] or [temperatures[0], temperatures[-1]]
    values = [(runs.get(t) or runs[None]).final[metric] for t in x]
    errors = [math.nan if (e := v.standard_error) is None else e for v in values]
    means = np.array([v.mean for v in values])
    return Line(name, np.array(x), means, np.array(errors), style)


def quality_against_diversity(result: Result) -> list[Image]:
    """Samples' quality against diversity, a point per inverse temperature.

    Published pairs of both at one temperature stand beside it; nothing where the runs
    did not write sentences.
    """
    for metrics in _PLANES:
        lines = [
            line
            for style, (name, run) in enumerate(result.runs.items())
            if (line := _path(name, run, metrics, style)) is not None
        ]
        if lines:
            published = _published_paths(result, metrics, len(lines))
            x, y = (label(metric) for metric in metrics)
            title = f"{y} against {x}, along inverse temperatures"
            ends = [
                f"{n.label} from {as_given(round(float(n.x[0]), 3))}, "
                f"{as_given(round(float(n.y[0]), 3))}"
                for n in [*lines, *published]
            ]
            words = f"Chart of {title}: {'; '.join(ends)}."
            data = svg_plane(metrics, lines, published)
            return [Image(title, words, _uri("image/svg+xml", data))]
    return []


def _path(
    name: str, run: MeasuredRun, metrics: tuple[str, str], style: int
) -> Line | None:
    """Both metrics of a run, from the hottest samples to the coldest."""
    points = []
    for metric, value in run.final.items():
        base, _, alpha = metric.partition("@")
        if base == metrics[0]:
            other = run.final[metrics[1] + metric[len(base) :]]
            points.append((float(alpha or 1.0), value.mean, other.mean))
    if not points:
        return None
    _, x, y = zip(*sorted(points), strict=True)
    return Line(name, np.array(x), np.array(y), style=style)


def _published_paths(
    result: Result, metrics: tuple[str, str], first_style: int
) -> list[Line]:
    """What others published of both metrics at one temperature."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for outcome in result.published:
        of, _, temperature = outcome.published_metric.partition(_AT)
        if temperature and of.lower() in metrics:
            group = outcome.key.split("/")[-2].replace("-", " ")
            points = found.setdefault(group, {}).setdefault(temperature, {})
            points[of.lower()] = outcome.value
    lines = []
    for i, (group, at) in enumerate(found.items()):
        pairs = [at[t] for t in sorted(at, key=float) if len(at[t]) == 2]
        x, y = (np.array([pair[metric] for pair in pairs]) for metric in metrics)
        lines.append(Line(f"published: {group}", x, y, style=first_style + i))
    return [line for line in lines if line.x.size]


def pictures(result: Result) -> list[Image]:
    """Every PNG file of a result that is there."""
    images = []
    for title, path in result.images.items():
        try:
            data = Path(path).read_bytes()
        except OSError:
            continue
        if data.startswith(PNG):
            alt = f"{title[:1].upper()}{title[1:]} of {result.experiment}"
            images.append(Image(title, alt, _uri("image/png", data)))
    return images


def _chart(
    metric: str,
    title: str,
    lines: Sequence[Line],
    marks: Sequence[Mark],
    x: XAxis = "step",
) -> list[Image]:
    """A chart, or none if no line has a number that can be drawn."""
    lines = [line for line in lines if np.isfinite(line.y).any()]
    if all(has_no_variance(metric, v) for line in lines for v in line.y):
        return []
    words = _words(metric, title, lines, x, has_marks=bool(marks))
    data = svg_chart(metric, lines, marks, x)
    return [Image(title, words, _uri("image/svg+xml", data))]


def _words(
    metric: str, title: str, lines: Sequence[Line], x: XAxis, *, has_marks: bool
) -> str:
    ends = []
    for line in lines:
        end = np.flatnonzero(np.isfinite(line.y))[-1]
        value = number(float(line.y[end]), metric)
        ends.append(f"{line.label} {value} at {x} {as_given(float(line.x[end]))}")
    also = "; published numbers are marked" if has_marks else ""
    return f"Chart of {title} against {x}. Last values: {', '.join(ends)}{also}."


def _line(name: str, steps: Sequence[int], band: Band, style: int) -> Line:
    error = None if band.standard_error is None else np.array(band.standard_error)
    return Line(name, np.array(steps, float), np.array(band.mean), error, style)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
