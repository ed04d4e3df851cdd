"""Curves of a report, as images that a page can hold in itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiscrete.experiments.output.figures import Line, Mark, svg_chart
from jaxdiscrete.experiments.output.formatting import label, number
from jaxdiscrete.experiments.output.records import Band
from jaxdiscrete.experiments.reproduce.results import Result

PNG = b"\x89PNG\r\n\x1a\n"


class Image(NamedTuple):
    """An image in the page: what it shows, in words, and its bytes as a data URI."""

    title: str
    alt: str
    uri: str


def curves(result: Result) -> list[Image]:
    """One chart per metric, with one line per run and a band of ± one standard error.

    Published numbers of the same metric are marked where their step is within the run.
    """
    metrics = dict.fromkeys(m for r in result.runs.values() for m in r.curves.metrics)
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
    metric: str, title: str, lines: Sequence[Line], marks: Sequence[Mark]
) -> list[Image]:
    """A chart, or none if no line has a number."""
    lines = [line for line in lines if np.isfinite(line.y).any()]
    if not lines:
        return []
    words = _words(metric, title, lines, has_marks=bool(marks))
    return [Image(title, words, _uri("image/svg+xml", svg_chart(metric, lines, marks)))]


def _words(metric: str, title: str, lines: Sequence[Line], *, has_marks: bool) -> str:
    ends = []
    for line in lines:
        end = np.flatnonzero(np.isfinite(line.y))[-1]
        value = number(float(line.y[end]), metric)
        ends.append(f"{line.label} {value} at step {line.x[end]:,.0f}")
    also = "; published numbers are marked" if has_marks else ""
    return f"Chart of {title} against steps. Last values: {', '.join(ends)}{also}."


def _line(name: str, steps: Sequence[int], band: Band, style: int) -> Line:
    error = None if band.standard_error is None else np.array(band.standard_error)
    return Line(name, np.array(steps, float), np.array(band.mean), error, style)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
