"""The one type of table, and how it looks in a terminal, in Markdown and in HTML."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from jinja2.utils import urlize
from markupsafe import Markup, escape
from rich import box
from rich.table import Table as RichTable
from rich.text import Text

# What Markdown would take for markup; an underscore only at the edge of a word.
_MARKUP = re.compile(r"([\\`*\[<|~$]|&(?=#?\w+;)|(?<!\w)_|_(?!\w))")
_VERDICTS = ("holds", "fails", "other", "open")
#: Longer names are wrapped in a terminal, as sentences are.
_LONGEST_NAME = 40
_STYLES = {"fails": "bold red", "holds": "green"}

CellKind = Literal["", "holds", "fails", "other", "open", "link"]
ColumnKind = Literal["", "number", "sentence"]


class Cell(NamedTuple):
    """One entry of a table."""

    text: str
    detail: str = ""
    """Small print below it."""
    kind: CellKind = ""
    """The kind of a verdict, or "link"; empty for everything else."""
    anchor: str = ""
    """The section that a link leads to."""


class Column(NamedTuple):
    """A heading, and whether numbers or sentences stand below it."""

    name: str
    kind: ColumnKind = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with a title; the first cell of a row names the row."""

    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    note: str = ""
    """A sentence that explains the columns."""

    @property
    def caption(self) -> str:
        """Title and note as sentences."""
        return " ".join(part for part in (self.title, self.note) if part)


def to_rich(table: Table) -> RichTable:
    """For a terminal, in which sentences are wrapped."""
    result = RichTable(
        title=table.title or None,
        caption=table.note or None,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    for i, column in enumerate(table.columns):
        is_number = column.kind == "number"
        longest = max((len(row[i].text) for row in table.rows), default=0)
        result.add_column(
            column.name,
            justify="right" if is_number else "left",
            no_wrap=column.kind != "sentence" and longest <= _LONGEST_NAME,
            overflow="fold",
            # A number that is cut would be another number.
            min_width=longest if is_number else None,
        )
    for row in table.rows:
        result.add_row(*map(_rich_cell, row))
    return result


def _rich_cell(cell: Cell) -> Text:
    # Text, because names and paths may look like markup.
    text = Text(cell.text, style=_STYLES.get(cell.kind, ""))
    return text.append(f"\n{cell.detail}", style="dim") if cell.detail else text


def to_markdown(table: Table) -> str:
    """Header and rows with a line break behind each, without title and note."""
    names = [escape_markdown(column.name) for column in table.columns]
    rules = ["---:" if c.kind == "number" else "---" for c in table.columns]
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (names, rules, *rows))


def _markdown_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text)
    if cell.kind == "fails":
        text = f"**{text}**"
    if cell.kind == "link":
        text = f"[{text}](#{cell.anchor})"
    return f"{text} ({escape_markdown(cell.detail)})" if cell.detail else text


def escape_markdown(text: str) -> str:
    """A sentence that Markdown prints as it is."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def to_html(table: Table, name: str) -> Markup:
    """A table that scrolls by itself where the page is narrow.

    Args:
      table: any table.
      name: the id of its caption, unique on the page.
    """
    return Markup("\n").join(_html_lines(table, name))


def _html_lines(table: Table, name: str) -> Iterator[Markup]:
    yield Markup(
        '<div class="scroll" role="region" aria-labelledby="{0}" tabindex="0">\n'
        '<table>\n<caption id="{0}"><span>{1}</span></caption>\n<thead>\n<tr>'
    ).format(name, table.caption)
    for column in table.columns:
        scope = Markup('<th scope="col"{}>{}</th>')
        yield scope.format(_html_class(column), column.name)
    yield Markup("</tr>\n</thead>\n<tbody>")
    for row in table.rows:
        yield Markup("<tr>")
        for i, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
            tag = Markup("<td{}>{}</td>" if i else '<th scope="row"{}>{}</th>')
            yield tag.format(_html_class(column), _html_cell(cell))
        yield Markup("</tr>")
    yield Markup("</tbody>\n</table>\n</div>")


def _html_class(column: Column) -> Markup:
    return Markup(' class="{}"').format(column.kind) if column.kind else Markup("")


def _html_cell(cell: Cell) -> Markup:
    text = escape(cell.text)
    if cell.kind in _VERDICTS:
        text = Markup('<span class="verdict {}">{}</span>').format(cell.kind, text)
    if cell.kind == "link":
        text = Markup('<a href="#{}">{}</a>').format(cell.anchor, text)
    if not cell.detail:
        return text
    return text + Markup("<small>{}</small>").format(
        Markup(urlize(escape(cell.detail)))
    )
