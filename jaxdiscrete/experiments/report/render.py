"""From result dictionaries to ``report.html``, ``report.md`` and the README's table."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.files import replacing
from jaxdiscrete.experiments.report import charts, tables
from jaxdiscrete.experiments.report.formatting import (
    MISSING,
    as_given,
    count,
    duration,
    is_number,
)
from jaxdiscrete.experiments.report.tables import Cell, Result, Table

HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"
# What Markdown would take for markup; an underscore only at the edge of a word.
_MARKUP = re.compile(r"([\\`*\[<|~$]|&(?=#?\w+;)|(?<!\w)_|_(?!\w))")


@dataclasses.dataclass(frozen=True)
class Section:
    """What the templates say about one experiment."""

    anchor: str
    experiment: str
    title: str
    reference: str
    shortened: str
    facts: list[tuple[str, str]]
    notes: list[str]
    published: Table | None
    sources: list[str]
    expectations: Table | None
    final: Table | None
    per_seed: Table | None
    shared: Table | None
    shared_charts: list[charts.Image]
    curves: list[charts.Image]
    pictures: list[charts.Image]
    command: str
    versions: str
    settings: list[Table]


def write_report(folder: Path, results: list[dict[str, Any]]) -> None:
    """Writes ``report.html``, a single file without external resources, and its text.

    ``report.md`` holds the same tables and leaves out charts and images.

    Args:
      folder: where; created if it does not exist.
      results: one dictionary an experiment. Numbers that are missing or null are
        printed as an en dash, and so are those that are not finite.

    Raises:
      UsageError: if a result has no ``experiment``, or the folder cannot be written.
    """
    _check(results)
    anchors = _anchors(results)
    sections = [_section(r, a) for r, a in zip(results, anchors, strict=True)]
    values = {
        "summary": tables.summary(list(results), anchors) if results else None,
        "overall": _overall(results),
        "sections": sections,
        "html_file": HTML_FILE,
    }
    environment = _environment()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (HTML_FILE, MARKDOWN_FILE):
            text = environment.get_template(f"{name}.jinja").render(values)
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"Expected to write a report to the folder {folder}, got: {error}. Choose "
            "another --output-dir."
        ) from None


def readme_table(results: list[dict[str, Any]]) -> str:
    """The claims that were checked, as a Markdown table.

    Args:
      results: one dictionary an experiment, of which only the committed summary is
        needed.

    Returns:
      One row an expectation or published number that the run can be compared with,
      in the order of the results; every line ends with a newline.

    Raises:
      UsageError: if a result has no ``experiment``.
    """
    _check(results)
    module: Any = _environment().get_template("table.md.jinja").module
    return module.table(tables.readme(list(results)))


def _section(result: Result, anchor: str) -> Section:
    seeds = tables.entries(result, "seeds")
    facts = [
        ("Paper", result.get("paper")),
        ("Where in the paper", result.get("where")),
        ("Data", result.get("dataset")),
        ("Length", tables.length(result)),
        ("Seeds", f"{len(seeds)} ({', '.join(map(str, seeds))})" if seeds else None),
        ("Claims", _claims(tables.tally([result]))),
        ("Device", result.get("device")),
        ("Wall time", duration(result.get("wall_seconds"))),
    ]
    versions = dict(tables.entries(result, "versions"))
    return Section(
        anchor=anchor,
        experiment=result["experiment"],
        title=result.get("title") or result["experiment"],
        reference=result.get("reference") or "",
        shortened=_shortened(result),
        facts=[(name, str(value)) for name, value in facts if value is not None],
        notes=list(tables.entries(result, "notes")),
        published=tables.published(result),
        sources=tables.sources(result),
        expectations=tables.expectations(result),
        final=tables.final_metrics(result),
        per_seed=tables.per_seed(result),
        shared=tables.shared_trajectory(result),
        shared_charts=charts.shared_curve(result),
        curves=charts.curves(result),
        pictures=charts.pictures(result),
        command=result.get("command") or "",
        versions=", ".join(f"{name} {v}" for name, v in versions.items()) or MISSING,
        settings=tables.settings(result),
    )


def _claims(claims: tables.Tally) -> str:
    if not claims.checked:
        text = "none could be checked"
    else:
        text = f"{claims.holds} of {claims.checked} hold"
    if claims.other_length:
        numbers = count(claims.other_length, "published number")
        text += f"; {numbers} not comparable: other length"
    return text


def _shortened(result: Result) -> str:
    """The warning above a run that was shorter than the paper's."""
    steps, full = result.get("steps"), result.get("full_steps")
    if result.get("length") != "short" and steps == full:
        return ""
    text = f"This run was shortened: {as_given(steps)} of {as_given(full)} steps."
    if is_number(result.get("full_hours")):
        text += f" The full length takes about {result['full_hours']:.1f} hours."
    return text


def _overall(results: list[dict[str, Any]]) -> str:
    claims = tables.tally(results)
    times = [r["wall_seconds"] for r in results if is_number(r.get("wall_seconds"))]
    total = duration(sum(times)) if times else MISSING
    experiments = count(len(results), "experiment")
    return f"{experiments}. Claims: {_claims(claims)}. Wall time: {total} in total."


def _anchors(results: list[dict[str, Any]]) -> list[str]:
    """An id for every section; the same experiment twice has two."""
    anchors: list[str] = []
    for result in results:
        words = re.sub(r"[^a-z0-9]+", "-", result["experiment"].lower()).strip("-")
        base = anchor = f"experiment-{words}"
        number = 1
        while anchor in anchors:
            number += 1
            anchor = f"{base}-{number}"
        anchors.append(anchor)
    return anchors


def _check(results: list[dict[str, Any]]) -> None:
    for result in results:
        if not isinstance(result, Mapping) or not result.get("experiment"):
            got = sorted(result) if isinstance(result, Mapping) else result
            raise UsageError(
                f"Expected a result that names its experiment, got {got!r}. Write it "
                "again with jaxdiscrete reproduce."
            )


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
    environment.filters["markdown"] = _markdown
    environment.filters["markdown_cell"] = _markdown_cell
    return environment


def _markdown(text: str) -> str:
    """A sentence that Markdown prints as it is."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _markdown_cell(cell: Cell) -> str:
    text = _markdown(cell.text)
    if cell.kind == "fails":
        text = f"**{text}**"
    if cell.kind == "link":
        text = f"[{text}](#{cell.anchor})"
    return f"{text} ({_markdown(cell.detail)})" if cell.detail else text
