"""Reports: what is said of every number, in HTML that stands on its own."""

# ruff: noqa: RUF001 - the en dash in place of a number

import base64
import dataclasses
import itertools
import re
import struct
import zlib
from html.parser import HTMLParser

import pytest

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.report import charts
from jaxdiscrete.experiments.report.render import results_page, write_report
from tests.experiments.report.examples import MARKUP, RESULT, TOY

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks that tags are balanced, and keeps what a test asks about."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def row(self, *words):
        """The text of the only table row with all these words."""
        rows = [r for r in self.rows if all(word in r for word in words)]
        assert len(rows) == 1, rows
        return rows[0]


def read(folder):
    html = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    rows = re.findall(r"<tr>(.*?)</tr>", html, flags=re.DOTALL)
    page.rows = [Page(row).text for row in rows]
    return html, page, (folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "made" / "on demand"
    write_report(folder, [RESULT, TOY])
    assert sorted(p.name for p in folder.iterdir()) == ["report.html", "report.md"]
    return read(folder)


def test_links_and_labels_lead_somewhere(report):
    _, page, markdown = report
    assert len(page.ids) == len(set(page.ids))
    for _, attributes in page.tags:
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in page.ids
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in page.ids
    for anchor in re.findall(r"\]\(#(.*?)\)", markdown):
        assert f'<a id="{anchor}"></a>' in markdown
        assert anchor in page.ids


def test_the_page_needs_nothing_from_outside(report):
    html, page, _ = report
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert "srcset" not in attributes
        assert attributes.get("src", "data:").startswith("data:")
        if tag != "a":
            assert "href" not in attributes
    assert "@import" not in html
    assert "url(" not in html


def test_the_page_is_accessible(report):
    _, page, _ = report
    assert page.all("html") == [{"lang": "en-GB"}]
    assert all(image["alt"] for image in page.all("img"))
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 0
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_text_is_escaped(report):
    html, page, markdown = report
    assert MARKUP not in html
    assert MARKUP in page.text
    assert not re.search(r"(?<!\\)<script", markdown)
    assert r"One learning rate \| not five \<script>" in markdown


def test_verdicts_are_words(report):
    _, page, markdown = report
    assert "holds within 0.3" in page.row("rebar", "-4.2 at")
    fails = page.row("rebar", "-7.1 at")
    assert "does not hold" in fails
    assert "-4.31 ± 0.02" in fails
    assert "does not hold" in page.row("HOT is best")
    assert "not measured" in page.row("-4.75")
    assert "–" in page.row("-4.75")
    assert "**does not hold**" in markdown


def test_another_length_is_not_compared(report):
    _, page, markdown = report
    row = page.row("-6.5")
    for words in ("at 2,000,000 steps", "at 50,000 steps", "not comparable"):
        assert words in row
    assert "not comparable: other length" in markdown
    assert "50,000 of 2,000,000 steps" in page.row("Nonlinear", "short")
    assert "The full length takes about 3.1 hours." in page.text


def test_only_what_was_shortened_says_so(report):
    _, page, markdown = report
    assert page.text.count("These runs were shortened") == 1
    assert "These runs were shortened: 50,000 of 2,000,000 steps." in markdown
    assert "10,000 steps" in page.row("Toy problem")
    assert "of 10,000 steps" not in page.text


def test_an_estimate_below_an_hour_is_in_minutes(tmp_path):
    write_report(tmp_path, [dataclasses.replace(RESULT, full_hours=0.5)])
    assert "The full length takes about 30 minutes." in read(tmp_path)[1].text
    write_report(tmp_path, [dataclasses.replace(RESULT, full_hours=0.0)])
    assert "The full length" not in read(tmp_path)[1].text


def test_a_range_says_how_many_seeds_are_in_it(report):
    _, page, _ = report
    row = page.row("Lowest variance")
    assert "relax -7.20 ± 0.86 (4 of 5 seeds in range) holds" in row


def test_the_summary_counts_claims(report):
    _, page, _ = report
    row = page.row("rebar/mnist_nonlinear", "short")
    assert "2 of 4 hold" in row
    assert "2 do not hold" in row
    assert "13 min 32 s" in row
    assert "1 of 1 hold" in page.row("relax/toy_0.45")
    assert "3 of 5 hold" in page.text


def test_standard_errors_are_over_several_seeds_only(report):
    _, page, _ = report
    assert "Mean ± standard error over 3 seeds." in page.text
    assert "One seed, so there are no standard errors." in page.text
    row = page.row("-101.23 ± 0.02")
    assert "123.5 ± 1.5" in row
    assert "–" in row
    assert page.row("relax", "0.2475", "3") == "relax 3 0.2475 –"
    assert page.row("rebar", "-5.50") == "rebar 2 -5.50 – -4.81"


def test_the_page_tells_how_it_was_run(report):
    _, page, markdown = report
    command = RESULT.command
    for text in (page.text, markdown):
        assert command in text
        assert "python 3.11.7, jax 0.7.2" in text
        assert "CPU, 2 cores" in text
        assert re.search(r"CPU time\W+25 min", text)
        assert "What differs from the paper" in text
    assert page.row("temperature", "0.1") == "temperature 0.1 0.5 –"
    assert page.row("optimizer.learning_rate") == "optimizer.learning_rate 0.0003"


def test_charts_of_what_was_measured(report):
    _, page, _ = report
    kinds = [image["src"].partition(";")[0] for image in page.all("img")]
    assert kinds == ["data:image/svg+xml"] * 4
    alt = " ".join(image["alt"] for image in page.all("img"))
    assert "rebar -101.23 at step 50,000" in alt
    assert "rebar -5.00 at step 0" in alt


def test_images_are_embedded(tmp_path):
    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x00\xff" * 2)
    png = charts.PNG + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)
    png += chunk(b"IEND", b"")
    (tmp_path / "samples.png").write_bytes(png)
    (tmp_path / "text.png").write_text("no image")
    names = ("samples", "text", "absent")
    images = {name: str(tmp_path / f"{name}.png") for name in names}
    write_report(tmp_path, [dataclasses.replace(TOY, images=images)])
    _, page, _ = read(tmp_path)
    uris = [i["src"] for i in page.all("img") if i["src"].startswith("data:image/png")]
    assert [base64.b64decode(uri.partition(",")[2]) for uri in uris] == [png]
    assert "Samples of relax/toy_0.45" in [i["alt"] for i in page.all("img")]


def test_the_same_experiment_twice_has_two_sections(tmp_path):
    write_report(tmp_path, [TOY, TOY])
    _, page, _ = read(tmp_path)
    assert {"experiment-relax-toy-0-45", "experiment-relax-toy-0-45-2"} <= set(page.ids)
    write_report(tmp_path, [])
    assert "0 experiments" in read(tmp_path)[1].text


def test_the_page_of_results_has_a_table_per_paper():
    text = results_page([RESULT, TOY])
    assert "whether it holds: 3 of 5 hold" in text
    _, rebar, relax = text.split("\n## ")
    assert rebar.splitlines() == [
        "REBAR",
        "",
        "G. Tucker et al., 2017, https://example.org/rebar",
        "",
        "| Experiment | Claim | Published | Measured | Holds |",
        "| --- | --- | ---: | --- | --- |",
        "| rebar/mnist_nonlinear (50,000 steps) | REBAR is below NVIL "
        "| – | rebar -4.30, nvil -2.60 | yes |",
        "| rebar/mnist_nonlinear (50,000 steps) | HOT is best "
        "| – | hot -53.00, rebar -51.00 | **no** |",
        "| rebar/mnist_nonlinear (50,000 steps) | rebar: log variance of the "
        "gradient (training-curve figure) | -4.2 | -4.31 ± 0.02 | yes |",
        "| rebar/mnist_nonlinear (50,000 steps) | rebar: log variance of the "
        "gradient (training-curve figure) | -7.1 | -4.31 ± 0.02 | **no** |",
    ]
    assert relax.splitlines()[-1] == (
        "| relax/toy_0.45 (10,000 steps) | Lowest variance | – "
        "| relax -7.20 ± 0.86 (4 of 5 seeds in range) | yes |"
    )


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Expected to write a report to the folder"):
        write_report(tmp_path / "file", [TOY])
