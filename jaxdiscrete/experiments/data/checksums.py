"""Tells whether a file is the published one, byte by byte."""

from __future__ import annotations

import hashlib
from pathlib import Path

from jaxdiscrete.experiments.data.sources import DataFile

_CHUNK = 1 << 20


def checksum(path: Path, method: str) -> str:
    """The checksum of a file.

    Args:
      path: the file.
      method: ``"sha256"``, or ``"git-blob"`` for the SHA-1 by which git knows the
        content.

    Returns:
      ``"method:hexadecimal digits"``, as ``DataFile.checksum`` has it.

    Raises:
      OSError: if the file cannot be read.
    """
    if method == "sha256":
        digest = hashlib.sha256(usedforsecurity=False)
    else:
        header = b"blob %d\0" % path.stat().st_size
        digest = hashlib.sha1(header, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return f"{method}:{digest.hexdigest()}"


def find_damage(path: Path, file: DataFile) -> str | None:
    """Compares a file with what was published.

    Args:
      path: the place of the file.
      file: the published one.

    Returns:
      The damage, in words that follow "got"; None for the right content.
    """
    try:
        size = path.stat().st_size
        if file.size is not None and size < file.size:
            return f"a truncated file of {size} bytes instead of {file.size}"
        found = checksum(path, file.checksum.partition(":")[0])
    except OSError as error:
        return f"a file that cannot be read ({error})"
    if found != file.checksum:
        return f"a file with {found}, not {file.checksum}"
    return None
