"""What ``jaxdiscrete data`` shows and does: list, fetch, verify."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxdiscrete.experiments.data.checksums import find_damage
from jaxdiscrete.experiments.data.datasets import DATASETS, find_dataset
from jaxdiscrete.experiments.data.download import (
    FETCH_COMMAND,
    data_folder,
    ensure_files,
    remove_abandoned,
    stored_files,
)
from jaxdiscrete.experiments.data.sources import SOURCES
from jaxdiscrete.experiments.errors import UsageError

_BUILT_IN, _PRESENT, _MISSING, _DAMAGED = "built in", "present", "missing", "damaged"


def describe(screen: Console) -> None:
    """Prints every set, how large it is, how it can be made binary, where it is.

    Args:
      screen: where the table goes.
    """
    table = Table(title=f"Data in {data_folder()}")
    table.add_column("set", no_wrap=True)
    table.add_column("train / valid / test", justify="right")
    table.add_column("pixels", justify="right")
    table.add_column("binarizations")
    table.add_column("state", no_wrap=True)
    for name, info in DATASETS.items():
        state, _ = _check(name)
        table.add_row(
            name,
            " / ".join(map(str, info.sizes)),
            " x ".join(map(str, info.image_shape)),
            ", ".join(info.binarizations),
            state,
        )
    screen.print(table)


def fetch(names: Sequence[str], screen: Console) -> None:
    """Downloads sets, unless they are there, and replaces damaged files.

    Args:
      names: of the sets.
      screen: gets a line a set.

    Raises:
      UsageError: if there is no such set, or it cannot be downloaded. What came
        before stays.
    """
    if not names:
        raise UsageError(
            f"Expected names of data sets among {', '.join(DATASETS)}, got none. Name "
            "at least one."
        )
    for name in names:
        find_dataset(name)
    for name in names:
        if name not in SOURCES:
            _say(screen, name, _BUILT_IN)
            continue
        for path in ensure_files(name, replace_damaged=True):
            remove_abandoned(path.parent)
        source = SOURCES[name]
        _say(screen, name, f"{_PRESENT}; {source.citation}; licence: {source.licence}")


def verify(names: Sequence[str], screen: Console) -> None:
    """Compares the files of sets with what was published.

    Args:
      names: of the sets. None at all: every set, and it may be missing.
      screen: gets a line a set.

    Raises:
      UsageError: after all lines, if a set is damaged, or one that was named is
        missing.
    """
    bad = []
    for name in names:
        find_dataset(name)
    for name in names or DATASETS:
        state, details = _check(name)
        _say(screen, name, "; ".join([state, *details]))
        if state == _DAMAGED or (names and state == _MISSING):
            bad.append(name)
    if bad:
        raise UsageError(
            f"Expected the published files in {data_folder()}, got damaged or missing "
            f"ones of {', '.join(bad)}. Run: {FETCH_COMMAND} {' '.join(bad)}"
        )


def _say(screen: Console, name: str, text: str) -> None:
    # Text, because paths and addresses may look like markup.
    screen.print(Text(f"{name}: {text}"))


def _check(name: str) -> tuple[str, list[str]]:
    if name not in SOURCES:
        return _BUILT_IN, []
    folder = data_folder()
    missing, damaged = [], []
    for file in stored_files(name, folder):
        path = folder / file.path
        if not os.path.exists(path):
            missing.append(f"{path}: no such file")
        elif damage := find_damage(path, file):
            damaged.append(f"{path}: {damage}")
    state = _DAMAGED if damaged else _MISSING if missing else _PRESENT
    return state, damaged + missing
