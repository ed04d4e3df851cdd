"""From results to ``report.html``, ``report.md`` and the page of the docs."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from pathlib import Path

import jinja2

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.folder import replacing
from jaxdiscrete.experiments.output.formatting import (
    count,
    duration,
    rough_duration,
)
from jaxdiscrete.experiments.output.tables import (
    Table,
    escape_markdown,
    to_html,
    to_markdown,
)
from jaxdiscrete.experiments.report import charts, tables
from jaxdiscrete.experiments.reproduce.results import Result
from jaxdiscrete.experiments.reproduce.verdicts import Tally, tally

HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"


@dataclasses.dataclass(frozen=True)
class Section:
    """One experiment as the templates print it."""

    anchor: str
    result: Result
    shortened: str
    facts: list[tuple[str, str]]
    parts: list[tuple[str, Table]]
    """Headings and tables, in order."""
    sources: list[str]
    shared_charts: list[charts.Image]
    curves: list[charts.Image]
    pictures: list[charts.Image]
    versions: str
    per_seed: Table | None
    settings: list[Table]


def write_report(folder: Path, results: Sequence[Result]) -> None:
    """Writes ``report.html``, a single file without external resources, and its text.

    ``report.md`` holds the same tables and leaves out charts and images.

    Args:
      folder: where; created if it does not exist.
      results: one per experiment.

    Raises:
      UsageError: if the folder cannot be written.
    """
    anchors = _anchors(results)
    sections = [_section(r, a) for r, a in zip(results, anchors, strict=True)]
    values = {
        "summary": tables.summary(results, anchors) if results else None,
        "overall": _overall(results),
        "sections": sections,
        "html_file": HTML_FILE,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (HTML_FILE, MARKDOWN_FILE):
            text = _environment().get_template(f"{name}.jinja").render(values)
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"Expected to write a report to the folder {folder}, got: {error}. Choose "
            "another --output-dir."
        ) from None


def results_page(results: Sequence[Result]) -> str:
    """The page of the docs: every claim that was checked, one section per paper."""
    papers = dict.fromkeys(result.paper for result in results)
    by_paper = {p: [r for r in results if r.paper == p] for p in papers}
    values = {
        "overall": _claims(tally(results)),
        "papers": {
            paper: (mine[0].reference, tables.paper(mine))
            for paper, mine in by_paper.items()
        },
    }
    return _environment().get_template("results.md.jinja").render(values)


def _section(result: Result, anchor: str) -> Section:
    seeds, spent = ", ".join(map(str, result.seeds)), result.cpu_seconds
    facts = {
        "Paper": result.paper,
        "Where in the paper": result.where,
        "Data": result.dataset,
        "Length": tables.length(result),
        "Seeds": f"{len(result.seeds)} ({seeds})",
        "Claims": _claims(tally([result])),
        "Device": result.device,
        "Wall time": duration(result.wall_seconds),
        "CPU time": "" if spent is None else duration(spent),
    }
    parts = {
        "Published against measured": tables.published(result),
        "Expectations": tables.expectations(result),
        "Final metrics": tables.final_metrics(result),
        "Variance along a shared trajectory": tables.shared_trajectory(result),
        "Samples": tables.samples(result),
    }
    return Section(
        anchor=anchor,
        result=result,
        shortened=_shortened(result),
        facts=[(name, value) for name, value in facts.items() if value],
        parts=[(name, table) for name, table in parts.items() if table is not None],
        sources=tables.sources(result),
        shared_charts=charts.shared_curve(result),
        curves=[
            *charts.quality_against_diversity(result),
            *charts.curves(result),
            *charts.against_temperature(result),
            *charts.against_others(result),
        ],
        pictures=charts.pictures(result),
        versions=", ".join(f"{name} {v}" for name, v in result.versions.items()),
        per_seed=tables.per_seed(result),
        settings=tables.settings(result),
    )


def _claims(claims: Tally) -> str:
    if not claims.checked:
        text = "none could be checked"
    else:
        text = f"{claims.holds} of {claims.checked} hold"
    if claims.other_length:
        numbers = count(claims.other_length, "published number")
        text += f"; {numbers} not comparable: other length"
    return text


def _shortened(result: Result) -> str:
    """The warning above runs that were shorter than the paper's."""
    if result.steps >= result.full_steps:
        return ""
    text = (
        f"These runs were shortened: {result.steps:,} of {result.full_steps:,} steps."
    )
    if result.full_hours > 0:
        text += f" The full length takes {rough_duration(result.full_hours)}."
    return text


def _overall(results: Sequence[Result]) -> str:
    experiments = count(len(results), "experiment")
    total = duration(sum(r.wall_seconds for r in results))
    claims = _claims(tally(results))
    return f"{experiments}. Claims: {claims}. Wall time: {total} in total."


def _anchors(results: Sequence[Result]) -> list[str]:
    """An id for every section; the same experiment twice has two."""
    anchors: list[str] = []
    for result in results:
        words = re.sub(r"[^a-z0-9]+", "-", result.experiment.lower()).strip("-")
        base = anchor = f"experiment-{words}"
        number = 1
        while anchor in anchors:
            number += 1
            anchor = f"{base}-{number}"
        anchors.append(anchor)
    return anchors


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxdiscrete.experiments.report"),
        autoescape=jinja2.select_autoescape(["html.jinja"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "markdown": escape_markdown,
        "markdown_table": to_markdown,
        "html_table": to_html,
    }
    return environment
