"""File formats to arrays. Nothing is ever unpickled."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from jaxdiscrete.experiments.data import matlab
from jaxdiscrete.experiments.data.archives import (
    arrays_of_npz,
    read_at_most,
    read_members,
)
from jaxdiscrete.experiments.errors import UsageError

_DRAWING = re.compile(r"\d+_\d+\.png")
_MOST_PIXELS_OF_A_SIDE = 1024


def read_idx(path: Path) -> np.ndarray:
    """Reads the format of MNIST: bytes behind a big-endian header, gzipped.

    Args:
      path: ``*-ubyte.gz``.

    Returns:
      uint8, of the shape in the header.

    Raises:
      UsageError: if the file is something else.
    """
    with _reading(path, "a gzipped idx file of bytes"):
        with gzip.open(path) as stream:
            content = read_at_most(stream)
        zeros, kind, rank = content[:2], content[2], content[3]
        if zeros != b"\0\0" or kind != 8:
            raise ValueError("another magic number")
        start = 4 + 4 * rank
        shape = np.frombuffer(content[4:start], ">u4").tolist()
        if len(shape) != rank or math.prod(shape) != len(content) - start:
            raise ValueError(f"{len(content) - start} bytes for a shape of {shape}")
        return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_amat(path: Path, num_columns: int) -> np.ndarray:
    """Reads lines of zeros and ones with one space between two of them.

    Args:
      path: ``*.amat``.
      num_columns: numbers per line.

    Returns:
      uint8 ``[lines, num_columns]``.

    Raises:
      UsageError: if the file is something else.
    """
    with _reading(path, f"lines of {num_columns} zeros and ones"):
        cells = np.fromfile(path, np.uint8).reshape(-1, num_columns, 2)
        bits, ends = cells[..., 0] - ord("0"), cells[..., 1]
        if (bits > 1).any():
            raise ValueError("other digits")
        if (ends[:, :-1] != ord(" ")).any() or (ends[:, -1] != ord("\n")).any():
            raise ValueError("lines of another length")
        return bits


def read_npz(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Reads arrays of numbers that NumPy saved.

    Args:
      path: ``*.npz``.
      names: of the arrays.

    Returns:
      The arrays, in the order of ``names``.

    Raises:
      UsageError: if the file is something else, lacks one, or holds objects.
    """
    expected = f"a .npz file with {', '.join(names)}"
    with _reading(path, expected), path.open("rb") as stream:
        return arrays_of_npz(stream, names)


def read_npy(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Reads one array of float32 that NumPy saved, whatever its file is called.

    Args:
      path: the file.
      shape: of the array.

    Returns:
      The array.

    Raises:
      UsageError: if the file is something else, has another shape, or holds objects.
    """
    with _reading(path, f"an array of float32 {list(shape)}"):
        with path.open("rb") as stream:
            content = io.BytesIO(read_at_most(stream))
        array = np.lib.format.read_array(content, allow_pickle=False)
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(f"{array.dtype} {list(array.shape)}")
        return array


def read_lines(path: Path, max_characters: int) -> list[str]:
    """Reads text, one sentence in a line; empty lines are left out.

    Args:
      path: the file, in UTF-8.
      max_characters: of a line.

    Returns:
      The lines.

    Raises:
      UsageError: if the file is something else, or a line is longer.
    """
    with _reading(path, f"lines of at most {max_characters} characters of text"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if len(line) > max_characters:
                raise ValueError(f"{len(line)} characters in line {number}")
        return [line for line in lines if line.strip()]


def unpack_bits(packed: np.ndarray, num_columns: int) -> np.ndarray:
    """Undoes ``np.packbits(bits, axis=1)``.

    Args:
      packed: uint8 ``[n, ceil(num_columns / 8)]``.
      num_columns: bits per row, without those that fill the last byte.

    Returns:
      uint8 ``[n, num_columns]``.

    Raises:
      UsageError: if the rows have another length.
    """
    width = -(-num_columns // 8)
    if packed.ndim != 2 or packed.shape[1] != width or packed.dtype != np.uint8:
        raise UsageError(
            f"Expected packed bits as uint8 [n, {width}], got {packed.dtype} "
            f"{list(packed.shape)}. Use the published file."
        )
    return np.unpackbits(packed, axis=1, count=num_columns)


def read_mat(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Reads matrices that MATLAB saved before version 7.3.

    Args:
      path: ``*.mat``.
      names: of the matrices.

    Returns:
      The matrices, in the order of ``names``.

    Raises:
      UsageError: if the file is something else, lacks one, or holds cells.
    """
    with _reading(path, f"a MATLAB file with {', '.join(names)}"):
        return matlab.load(path, names)


def rows_from_columns(columns: np.ndarray, side: int) -> np.ndarray:
    """Images row by row, ``[n, pixels]``, from MATLAB's column by column."""
    pixels = side * side
    return columns.reshape(-1, side, side).transpose(0, 2, 1).reshape(-1, pixels)


def read_drawings(path: Path, size: int, num_drawers: int) -> np.ndarray:
    """Reads Omniglot's drawings and makes them small by averaging over boxes.

    Args:
      path: a zip of 1-bit ``.../0001_01.png``: number of the character, of the
        drawer. Ink is black.
      size: height and width of the result.
      num_drawers: how many drew each character.

    Returns:
      uint8 ``[characters, num_drawers, size, size]`` by those numbers, ink 255.

    Raises:
      UsageError: if the file is something else.
    """
    with _reading(path, f"a zip of {num_drawers} drawings a character"):
        with zipfile.ZipFile(path) as archive:
            drawings = {
                name: entry
                for entry in archive.namelist()
                if _DRAWING.fullmatch(name := PurePosixPath(entry).name)
            }
            entries = [drawings[name] for name in sorted(drawings)]
            small = [_shrink(png, size) for png in read_members(archive, entries)]
        return np.stack(small).reshape(-1, num_drawers, size, size)


def _shrink(png: bytes, size: int) -> np.ndarray:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        if max(image.size) > _MOST_PIXELS_OF_A_SIDE:
            raise ValueError(f"a drawing of {image.width} x {image.height} pixels")
        ink = image.convert("L").point(lambda value: 255 - value)
        return np.asarray(ink.resize((size, size), Image.Resampling.BOX))


@contextlib.contextmanager
def _reading(path: Path, expected: str) -> Iterator[None]:
    try:
        yield
    # The parsers in here raise whatever they meet in a file of another format.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise UsageError(
            f"Expected {path} to be {expected}, got a file that cannot be read as one "
            f"({reason}). Use the published file."
        ) from None
