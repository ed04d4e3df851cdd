"""One table in a terminal, in Markdown and in HTML."""

import io

from rich.console import Console

from jaxdiscrete.experiments.output.tables import (
    Cell,
    Column,
    Table,
    to_html,
    to_markdown,
    to_rich,
)

TABLE = Table(
    "A title.",
    [Column("run"), Column("what", "sentence"), Column("value", "number")],
    [
        [
            Cell("[red]one[/red] | <b>"),
            Cell("does not hold", "see https://example.org/x", "fails"),
            Cell("1.5"),
        ],
        [
            Cell("two_2", kind="link", anchor="two"),
            Cell("holds", kind="holds"),
            Cell(""),
        ],
    ],
    "A note.",
)


def shown(table, width=80):
    screen = Console(width=width, file=io.StringIO(), record=True)
    screen.print(to_rich(table))
    return screen.export_text()


def test_a_terminal_shows_text_as_it_is():
    text = shown(TABLE)
    for part in ("A title.", "A note.", "[red]one[/red] | <b>", "does not hold"):
        assert part in text
    assert "see https://example.org/x" in text
    assert max(map(len, text.splitlines())) <= 80


def test_only_sentences_are_wrapped_in_a_narrow_terminal():
    columns = [Column("run"), Column("what", "sentence")]
    words = Cell("many words that do not fit into one line")
    table = Table("", columns, [[Cell("x" * 9), words]])
    text = shown(table, 30)
    assert "x" * 9 in text
    assert max(map(len, text.splitlines())) <= 30
    assert " ".join(text.split()).count("many words") == 1


def test_numbers_are_never_cut():
    columns = [Column("run"), Column("value", "number")]
    table = Table("", columns, [[Cell("seed=0,rate=0.1," * 6), Cell("-12,345.67")]])
    text = shown(table, 60)
    assert "-12,345.67" in text
    assert text.count("rate=") == 6


def test_markdown():
    assert to_markdown(TABLE) == (
        "| run | what | value |\n"
        "| --- | --- | ---: |\n"
        r"| \[red]one\[/red] \| \<b> "
        "| **does not hold** (see https://example.org/x) | 1.5 |\n"
        "| [two_2](#two) | holds |  |\n"
    )


def test_html_escapes_text_and_links_addresses():
    html = to_html(TABLE, "name")
    assert '<caption id="name"><span>A title. A note.</span></caption>' in html
    assert '<th scope="row">[red]one[/red] | &lt;b&gt;</th>' in html
    assert (
        '<td class="sentence"><span class="verdict fails">does not hold</span>' in html
    )
    assert '<small>see <a href="https://example.org/x"' in html
    assert '<a href="#two">two_2</a>' in html
    assert '<td class="number">1.5</td>' in html
    assert "<b>" not in html
