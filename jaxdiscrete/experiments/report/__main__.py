"""Writes the table of results into a text: ``python -m ... RESULTS README.md``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jaxdiscrete.experiments.files import replacing
from jaxdiscrete.experiments.report import readme_table

BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def with_table(text: str, results: Path) -> str:
    """A text whose table of results is that of the summaries.

    Args:
      text: with the two marks.
      results: folder of JSON summaries.

    Returns:
      The text with the table between the marks.
    """
    paths = sorted(results.rglob("*.json"))
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{readme_table(summaries)}\n{END}{after}"


def main(results: str, readme: str) -> None:
    """Rewrites a file in place.

    Args:
      results: folder of JSON summaries.
      readme: the file.
    """
    path = Path(readme)
    text = with_table(path.read_text(encoding="utf-8"), Path(results))
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
