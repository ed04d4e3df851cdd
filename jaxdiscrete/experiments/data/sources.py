"""Origins of files, and the checksums that they must have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class DataFile:
    """One file, as its authors published it."""

    path: str
    """Inside the data folder, with forward slashes."""
    checksum: str
    """``"sha256:..."`` of the file, or ``"git-blob:..."``, its id in a git tree."""
    size: int | None = None
    """In bytes; None where nobody published it."""
    mirrors: tuple[str, ...] = ()
    """Addresses, tried in this order; none for a file that nobody serves."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The files of one set, in every way in which they can be stored."""

    variants: tuple[tuple[DataFile, ...], ...]
    """Each enough on its own: the first one of which all files are there is used, and
    the last one is downloaded."""
    licence: str
    """The licence in the words of the authors, for one line of a report."""
    citation: str
    """Whom to cite."""


def files_at(
    folder: str,
    mirrors: Sequence[str],
    table: Mapping[str, tuple[str, int | None]],
) -> tuple[DataFile, ...]:
    """Files that lie in one folder, here and at every mirror.

    Args:
      folder: their folder inside the data folder.
      mirrors: addresses of that folder, with a slash at the end.
      table: checksum and size by name.
    """
    return tuple(
        DataFile(f"{folder}/{name}", checksum, size, tuple(m + name for m in mirrors))
        for name, (checksum, size) in table.items()
    )
