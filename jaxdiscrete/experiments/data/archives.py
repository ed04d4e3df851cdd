"""Members of zip archives, which say how large they are and need not be right."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import IO

import numpy as np

#: Bytes that a data set takes when it is unpacked; the largest has 153 million.
MOST_BYTES = 256 * 1024**2


def read_at_most(
    stream: IO[bytes] | io.BufferedIOBase, most: int = MOST_BYTES
) -> bytes:
    """The rest of a stream that may inflate what it reads.

    Args:
      stream: of bytes.
      most: how many bytes are read.

    Returns:
      The bytes.

    Raises:
      ValueError: if there are more.
    """
    content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
    return content


def read_members(archive: zipfile.ZipFile, names: Sequence[str]) -> list[bytes]:
    """The contents of members, together no larger than a data set.

    Args:
      archive: open for reading.
      names: of the members.

    Returns:
      The contents, in the order of ``names``.

    Raises:
      ValueError: if one is encrypted, or if they are larger than they may be.
      KeyError: if one is missing.
    """
    members = [archive.getinfo(name) for name in names]
    if any(member.flag_bits & 1 for member in members):
        raise ValueError("it is encrypted")
    declared = sum(member.file_size for member in members)
    if declared > MOST_BYTES:
        raise ValueError(f"it unpacks to {declared:,} bytes")
    contents = []
    for member in members:
        with archive.open(member) as stream:
            contents.append(read_at_most(stream, member.file_size))
    return contents


def arrays_of_npz(file: IO[bytes], names: Sequence[str]) -> list[np.ndarray]:
    """Arrays of numbers that NumPy saved together.

    Args:
      file: a ``.npz`` file, open for reading.
      names: of the arrays.

    Returns:
      The arrays, in the order of ``names``.
    """
    with zipfile.ZipFile(file) as archive:
        contents = read_members(archive, [f"{name}.npy" for name in names])
    return [
        np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        for content in contents
    ]
