"""The command ``jaxdiscrete data``: list, fetch and verify data sets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from jaxdiscrete.experiments.data.checksums import find_damage
from jaxdiscrete.experiments.data.dataset import SetInfo
from jaxdiscrete.experiments.data.download import (
    FETCH_COMMAND,
    data_folder,
    ensure_files,
    remove_abandoned,
    stored_files,
)
from jaxdiscrete.experiments.data.load import DATASETS, find_dataset
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.formatting import MISSING
from jaxdiscrete.experiments.output.tables import Cell, Column, Table, to_rich

_BUILT_IN, _PRESENT, _MISSING, _DAMAGED = "built in", "present", "missing", "damaged"


def describe(screen: Console) -> None:
    """Prints every set: its size, what one example is, whether it is here."""
    columns = [
        Column("set"),
        Column("train / valid / test", "number"),
        Column("one example", "sentence"),
        Column("state"),
    ]
    rows = [
        [
            Cell(info.name),
            Cell(" / ".join(map(str, info.sizes)) or MISSING),
            Cell(info.description),
            Cell(_check(info)[0]),
        ]
        for info in DATASETS.values()
    ]
    screen.print(to_rich(Table(f"Data in {data_folder()}", columns, rows)))


def fetch(names: Sequence[str], screen: Console) -> None:
    """Downloads sets, unless they are there, and replaces damaged files.

    Args:
      names: the sets, at least one.
      screen: gets one line per set.

    Raises:
      UsageError: if there is no such set, or it cannot be downloaded. What came
        before stays.
    """
    if not names:
        raise UsageError(
            f"Expected names of data sets among {', '.join(DATASETS)}, got none. Name "
            "at least one."
        )
    for info in [find_dataset(name, SetInfo) for name in names]:
        paths = ensure_files(info, replace_damaged=True)
        if info.source is None:
            _say(screen, info.name, _BUILT_IN)
            continue
        for path in paths:
            remove_abandoned(path.parent)
        licence = f"licence: {info.source.licence}"
        _say(screen, info.name, f"{_PRESENT}; {info.source.citation}; {licence}")


def verify(names: Sequence[str], screen: Console) -> None:
    """Compares the files of sets with what was published.

    Args:
      names: the sets. None at all: every set, and it may be missing.
      screen: gets one line per set.

    Raises:
      UsageError: after all lines, if a set is damaged, or one that was named is
        missing.
    """
    bad = []
    for info in [find_dataset(name, SetInfo) for name in names or DATASETS]:
        state, details = _check(info)
        _say(screen, info.name, "; ".join([state, *details]))
        if state == _DAMAGED or (names and state == _MISSING):
            bad.append(info.name)
    if bad:
        raise UsageError(
            f"Expected the published files in {data_folder()}, got damaged or missing "
            f"ones of {', '.join(bad)}. Run: {FETCH_COMMAND} {' '.join(bad)}"
        )


def _say(screen: Console, name: str, text: str) -> None:
    # Text, because paths and addresses may look like markup.
    screen.print(Text(f"{name}: {text}"))


def _unpacked(path: Path) -> str:
    """Says where a file lies that was unpacked, which has another checksum."""
    for name in (path.stem, path.stem.replace("-idx", ".idx")):
        if path.suffix == ".gz" and (path.parent / name).exists():
            return (
                f", but {name}, which is it unpacked. Only the packed file can be "
                "checked against the published one: put it there as it came"
            )
    return ""


def _check(info: SetInfo) -> tuple[str, list[str]]:
    """The state of a set, and what is wrong with its files."""
    if info.source is None:
        return _BUILT_IN, []
    folder = data_folder()
    missing, damaged = [], []
    for file in stored_files(info.source, folder):
        path = folder / file.path
        if not os.path.exists(path):
            missing.append(f"{path}: no such file{_unpacked(path)}")
        elif damage := find_damage(path, file):
            damaged.append(f"{path}: {damage}")
    state = _DAMAGED if damaged else _MISSING if missing else _PRESENT
    return state, damaged + missing
