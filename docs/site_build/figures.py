"""The page of results shows what was measured: charts of the kept summaries.

They are drawn when the site is built, so that nothing that follows from the summaries
is kept beside them.
"""

from __future__ import annotations

import base64
import itertools
import pathlib
from typing import Any

from jaxdiscrete.experiments.report import charts
from jaxdiscrete.experiments.reproduce.results import Result, read_summaries

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "configs" / "results"
PAGE = "experiments/results"
FOLDER = "figures"
#: Charts of one experiment.
MOST = 2


def section(result: Result, folder: pathlib.Path) -> str:
    """The charts of one experiment, written to a folder, as Markdown.

    Args:
      result: of an experiment.
      folder: beside the page.
    """
    parts = []
    for i, image in enumerate(itertools.islice(charts.claimed(result), MOST)):
        name = f"{result.experiment.replace('/', '-')}-{i}.svg"
        data = base64.b64decode(image.uri.partition(",")[2])
        path = folder / name
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
        parts.append(
            f":::{{figure}} {FOLDER}/{name}\n:alt: {image.alt}\n:width: 480px\n\n"
            f"`{result.experiment}`, {result.steps:,} steps: {image.title}\n:::\n"
        )
    return "\n".join(parts)


def illustrated(text: str, results: list[Result], folder: pathlib.Path) -> str:
    """The page with charts at the end of every paper's section.

    Args:
      text: of the page.
      results: kept ones, of all papers.
      folder: for the charts.
    """
    head, *sections = text.split("\n## ")
    shown = [head]
    for words in sections:
        paper = words.partition("\n")[0]
        drawn = [section(r, folder) for r in results if r.paper == paper]
        shown.append("\n\n".join([words.rstrip(), *filter(None, drawn)]) + "\n")
    return "\n## ".join(shown)


def on_read(app: Any, page: str, source: list[str]) -> None:
    if page == PAGE:
        folder = pathlib.Path(app.srcdir) / pathlib.Path(page).parent / FOLDER
        folder.mkdir(exist_ok=True)
        source[0] = illustrated(source[0], list(read_summaries(RESULTS)), folder)


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", on_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
