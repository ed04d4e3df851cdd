"""Reports: what is said of every number, in HTML that stands on its own."""

# ruff: noqa: RUF001 - the en dash in place of a number

import base64
import copy
import itertools
import math
import re
import struct
import zlib
from html.parser import HTMLParser

import pytest

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.report import (
    charts,
    formatting,
    readme_table,
    write_report,
)

VOID = {"meta", "img", "br", "hr", "link", "input"}
MARKUP = '<script>alert("&")</script>'


def estimate(mean, se=0.021, seeds=3):
    return {"mean": mean, "se": se, "values": [mean] * seeds}


def curve(level, seeds):
    steps = list(range(0, 50_001, 1000))
    means = [level - 500 * math.exp(-step / 2000) for step in steps]
    errors = [0.3] * len(steps) if seeds > 1 else None
    variance = [None if step == 3000 else -4.0 for step in steps]
    return {
        "step": steps,
        "train_elbo": {"mean": means, "se": errors},
        "log_variance": {"mean": variance, "se": None},
    }


def run(name, level, calls, seeds=3, **settings):
    return {
        "estimator": name,
        "calls_of_f": calls,
        "settings": {"optimizer.learning_rate": 3e-4, **settings},
        "final": {
            "test_bound": estimate(level, seeds=seeds),
            "encoder_log_variance": {"mean": None, "se": None, "values": []},
            "steps_per_second": estimate(123.456, 1.5, seeds),
        },
        "curve": curve(level, seeds),
    }


def published(step, value, measured, holds, **changes):
    return {
        "key": "variance",
        "run": "rebar",
        "metric": "log_variance",
        "step": step,
        "value": value,
        "published_metric": "log variance of the gradient",
        "table": "training-curve figure",
        "source": "read from the curve",
        "note": None,
        "measured": measured,
        "measured_step": 50_000 if measured else None,
        "tolerance": 0.3,
        "holds": holds,
        **changes,
    }


def belief_network():
    return {
        "experiment": "rebar/mnist_nonlinear",
        "paper": "REBAR",
        "title": f"Nonlinear {MARKUP}",
        "reference": "G. Tucker et al., 2017, https://example.org/rebar",
        "where": "training-curve figure",
        "dataset": "MNIST",
        "notes": [f"One learning rate | not five {MARKUP}"],
        "command": "jaxdiscrete reproduce configs/rebar/mnist_nonlinear.toml --short",
        "length": "short",
        "steps": 50_000,
        "full_steps": 2_000_000,
        "full_hours": 3.1,
        "seeds": [0, 1, 2],
        "versions": {"python": "3.11.7", "jax": "0.7.2"},
        "device": "CPU, 2 cores",
        "wall_seconds": 812.0,
        "runs": {
            "rebar": run("rebar", -101.234, 2, temperature=0.1),
            "hot": run("rebar", -103.0, 2, temperature=0.5),
            f"nvil {MARKUP} $x$": run("nvil", -107.0, 1),
        },
        "published": [
            published(50_000, -4.2, {"mean": -4.31, "se": 0.021}, True),
            published(50_000, -7.1, {"mean": -4.31, "se": 0.021}, False),
            published(2_000_000, -6.5, {"mean": -4.31, "se": 0.021}, None),
            published(50_000, -4.75, None, None),
        ],
        "expectations": [
            {"text": "REBAR is below NVIL", "measured": "-4.3 < -2.6", "holds": True},
            {"text": "HOT is best", "measured": "-103 < -101", "holds": False},
        ],
        "shared_trajectory": {
            "driver": "nvil",
            "steps": 50_000,
            "seeds": [0],
            "runs": {
                "rebar": {
                    "calls_of_f": 2,
                    "log_variance": {"mean": -5.5, "se": None},
                    "encoder_log_variance": {"mean": None, "se": None},
                    "log_variance_times_calls": {"mean": -4.81, "se": None},
                }
            },
            "curve": {"step": [0, 1000], "rebar": [-5.0, None]},
        },
    }


def toy():
    return {
        "experiment": "relax/toy_0.45",
        "paper": "RELAX",
        "title": "Toy problem",
        "length": "full",
        "steps": 10_000,
        "full_steps": 10_000,
        "seeds": [0],
        "wall_seconds": None,
        "runs": {
            "relax": {
                "estimator": "relax",
                "calls_of_f": 3,
                "settings": {},
                "final": {
                    # A standard error of one seed is none.
                    "loss": {"mean": 0.247501, "se": 0.0, "values": [0.247501]},
                    "theta": {"mean": math.nan, "se": None, "values": []},
                },
                "curve": {"step": [0, 100], "loss": {"mean": [0.25, 0.2475]}},
            }
        },
        "published": [],
        "expectations": [
            {"text": "Lowest loss", "measured": "0.2475", "holds": True},
        ],
        "shared_trajectory": None,
    }


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
    write_report(folder, [belief_network(), toy()])
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


def test_a_published_number_without_a_step_is_of_the_full_length(tmp_path):
    result = belief_network()
    item = published(None, -6.5, {"mean": -4.3, "se": 0.1}, None, measured_step=None)
    result["published"] = [item]
    write_report(tmp_path, [result])
    assert "not comparable: other length" in read(tmp_path)[1].row("-6.5")
    result["steps"] = result["full_steps"]
    write_report(tmp_path, [result])
    assert "not checked" in read(tmp_path)[1].row("-6.5")


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
    command = belief_network()["command"]
    for text in (page.text, markdown):
        assert command in text
        assert "python 3.11.7, jax 0.7.2" in text
        assert "CPU, 2 cores" in text
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


def test_charts_are_reproducible_and_mark_published_numbers():
    first, second = (charts.curves(belief_network()) for _ in range(2))
    assert first == second
    assert [image.title for image in first] == ["train ELBO", "log variance"]
    # Not the one at two million steps, nor those of another metric.
    assert "published" not in first[0].alt
    assert "published" in first[1].alt


def test_bounds_leave_the_first_tenth_out(monkeypatch):
    limits = []
    draw = charts._svg
    monkeypatch.setattr(
        charts, "_svg", lambda f: limits.append(f.axes[0].get_ylim()) or draw(f)
    )
    charts.curves(belief_network())
    assert limits[0][0] > -170
    assert limits[1][0] < -4.2


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
    result = toy() | {
        "images": {
            "samples": str(tmp_path / "samples.png"),
            "text": str(tmp_path / "text.png"),
            "absent": str(tmp_path / "absent.png"),
        }
    }
    write_report(tmp_path, [result])
    _, page, _ = read(tmp_path)
    uris = [i["src"] for i in page.all("img") if i["src"].startswith("data:image/png")]
    assert [base64.b64decode(uri.partition(",")[2]) for uri in uris] == [png]
    assert "Samples of relax/toy_0.45" in [i["alt"] for i in page.all("img")]


def test_only_the_name_is_needed(tmp_path):
    write_report(tmp_path, [{"experiment": "a/b"}, {"experiment": "a/b"}])
    _, page, _ = read(tmp_path)
    assert {"experiment-a-b", "experiment-a-b-2"} <= set(page.ids)
    write_report(tmp_path, [])
    assert "0 experiments" in read(tmp_path)[1].text


def test_results_are_not_changed(tmp_path):
    results = [belief_network()]
    before = copy.deepcopy(results)
    write_report(tmp_path, results)
    readme_table(results)
    assert results == before


def test_readme_table():
    assert readme_table([belief_network(), toy()]).splitlines() == [
        "| Paper | Experiment | Claim | Published | Measured | Holds |",
        "| --- | --- | --- | --- | --- | --- |",
        "| REBAR | rebar/mnist_nonlinear (50,000 steps) | REBAR is below NVIL "
        r"| – | -4.3 \< -2.6 | yes |",
        "| REBAR | rebar/mnist_nonlinear (50,000 steps) | HOT is best "
        r"| – | -103 \< -101 | **no** |",
        "| REBAR | rebar/mnist_nonlinear (50,000 steps) | rebar: log variance of the "
        "gradient (training-curve figure) | -4.2 | -4.31 ± 0.02 | yes |",
        "| REBAR | rebar/mnist_nonlinear (50,000 steps) | rebar: log variance of the "
        "gradient (training-curve figure) | -7.1 | -4.31 ± 0.02 | **no** |",
        "| RELAX | relax/toy_0.45 (10,000 steps) | Lowest loss | – | 0.2475 | yes |",
    ]


@pytest.mark.parametrize("write", [readme_table, lambda r: write_report(None, r)])
def test_a_result_names_its_experiment(write):
    with pytest.raises(UsageError, match=r"names its experiment, got \['paper'\]"):
        write([{"paper": "REBAR"}])


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Expected to write a report to the folder"):
        write_report(tmp_path / "file", [toy()])


@pytest.mark.parametrize(
    ("mean", "se", "metric", "expected"),
    [
        (-101.234, 0.1, "test_bound", "-101.23 ± 0.10"),
        (-4.3, 0.0031, "log_variance", "-4.30 ± 0.003"),
        (-0.001, None, "test_elbo", "0.00"),
        (-4.3, 0.0, "log_variance", "-4.30 ± 0"),
        (0.247501, 0.00012, "loss", "0.24750 ± 0.00012"),
        (1234.5, 67.0, "steps_per_second", "1,234 ± 67"),
        (1234.5, 670.0, "steps_per_second", "1,234 ± 670"),
        (2.5e-7, 1e-9, "loss", "2.5e-07 ± 1e-09"),
        (3, None, "count", "3"),
        (math.inf, 0.1, "loss", "–"),
        (None, None, "loss", "–"),
    ],
)
def test_rounding(mean, se, metric, expected):
    value = {"mean": mean, "se": se}
    assert formatting.estimate(value, metric, num_seeds=3) == expected


def test_durations():
    seconds = (0.25, 59.4, 812.0, 11_160, None)
    expected = ["0.2 s", "59 s", "13 min 32 s", "3 h 6 min", "–"]
    assert [formatting.duration(s) for s in seconds] == expected
