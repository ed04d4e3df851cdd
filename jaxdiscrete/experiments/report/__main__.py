"""Writes the page of results: ``python -m ... RESULTS docs/.../results.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from jaxdiscrete.experiments.output.folder import replacing
from jaxdiscrete.experiments.report.render import results_page
from jaxdiscrete.experiments.reproduce.results import read_summaries


def main(results: str, page: str) -> None:
    """Writes the page of the summaries in a folder."""
    path = Path(page)
    text = results_page(read_summaries(Path(results)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
