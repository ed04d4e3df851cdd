"""File formats, and files that are something else."""

import gzip
import io
import itertools
import os
import struct
import zipfile

import numpy as np
import pytest

from jaxdiscrete.experiments.data import readers
from jaxdiscrete.experiments.errors import UsageError
from tests.experiments.data.helpers import write_drawings


def test_drawings_shrink_by_averages(tmp_path):
    rng = np.random.default_rng(0)
    ink = rng.integers(0, 2, (3, 2, 84, 84), np.uint8)
    path = tmp_path / "drawings.zip"
    write_drawings(path, ink, list(itertools.product(range(3), range(2))), rng)
    small = readers.read_drawings(path, 28, 2)
    mean = ink.reshape(3, 2, 28, 3, 28, 3).mean((3, 5))
    np.testing.assert_allclose(small, mean * 255, atol=1)


def idx(magic=b"\0\0\x08\x01", size=3, content=b"abc"):
    return magic + struct.pack(">I", size) + content


def pickle_bomb(trap):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(trap),)

    buffer = io.BytesIO()
    np.savez(buffer, images=np.array([Bomb()], object))
    return buffer.getvalue()


def test_idx_reads_what_the_header_says(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(), mtime=0))
    assert readers.read_idx(path).tolist() == [97, 98, 99]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not gzip",
        gzip.compress(idx(), mtime=0)[:-9],
        gzip.compress(b"\0", mtime=0),
        gzip.compress(idx(magic=b"\0\0\x0d\x01"), mtime=0),
        gzip.compress(idx(magic=b"\0\0\x08\x07"), mtime=0),
        gzip.compress(idx(size=4), mtime=0),
        gzip.compress(idx(size=2), mtime=0),
    ],
    ids=["empty", "not_gzip", "cut", "one_byte", "floats", "vector", "long", "short"],
)
def test_idx_refuses_other_files(tmp_path, content):
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.gz to be a gzipped idx file of bytes"):
        readers.read_idx(path)


@pytest.mark.parametrize("content", [b"0 1 2\n", b"0 1\n", b"0 1 1 \n", b"0,1,1\n"])
def test_amat_refuses_other_files(tmp_path, content):
    path = tmp_path / "x.amat"
    path.write_bytes(b"0 1 1\n1 0 0\n")
    assert readers.read_amat(path, 3).tolist() == [[0, 1, 1], [1, 0, 0]]
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.amat to be lines of 3 zeros and ones"):
        readers.read_amat(path, 3)


def test_npz_refuses_other_files_and_never_unpickles(tmp_path):
    path, trap = tmp_path / "x.npz", tmp_path / "trap"
    np.savez(path, images=np.arange(3))
    assert readers.read_npz(path, ["images"])[0].tolist() == [0, 1, 2]
    good = path.read_bytes()
    np.savez(path, other=np.arange(3))
    for content in (b"", good[:-30], path.read_bytes(), pickle_bomb(trap)):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"x\.npz to be a \.npz file with images"):
            readers.read_npz(path, ["images"])
    assert not trap.exists()


def test_drawings_refuse_other_files(tmp_path):
    path, rng = tmp_path / "x.zip", np.random.default_rng(0)
    write_drawings(path, np.zeros((1, 3, 8, 8), np.uint8), [(0, 0), (0, 1)], rng)
    assert readers.read_drawings(path, 4, 2).shape == (1, 2, 4, 4)
    with pytest.raises(UsageError, match="to be a zip of 3 drawings a character"):
        readers.read_drawings(path, 4, 3)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0001_01.png", b"no png")
    with pytest.raises(UsageError, match="to be a zip of 1 drawings a character"):
        readers.read_drawings(path, 4, 1)


def test_packed_bits_of_another_width_are_refused():
    bits = np.random.default_rng(0).integers(0, 2, (5, 13), np.uint8)
    packed = np.packbits(bits, axis=1)
    np.testing.assert_array_equal(readers.unpack_bits(packed, 13), bits)
    with pytest.raises(UsageError, match=r"uint8 \[n, 3\], got uint8 \[5, 2\]"):
        readers.unpack_bits(packed, 17)


def encrypted(content):
    """A zip whose members say that they need a password."""
    changed = bytearray(content)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := content.find(signature, start + 1)) >= 0:
            changed[start + at] |= 1
    return bytes(changed)


def declared(content, size):
    """A zip whose one member says in the directory that it has another size."""
    start = content.index(b"PK\x01\x02") + 24
    return content[:start] + struct.pack("<I", size) + content[start + 4 :]


def test_archives_that_are_encrypted_or_too_large_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, images=np.zeros(10_000))
    good = path.read_bytes()
    path.write_bytes(encrypted(good))
    with pytest.raises(UsageError, match=r"x\.npz to be .*\(it is encrypted\)"):
        readers.read_npz(path, ["images"])
    path.write_bytes(declared(good, 600_000_000))
    with pytest.raises(UsageError, match=r"\(it unpacks to 600,000,000 bytes\)"):
        readers.read_npz(path, ["images"])
    path.write_bytes(declared(good, 500))
    with pytest.raises(UsageError, match=r"x\.npz to be"):
        readers.read_npz(path, ["images"])
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(bytes(1 << 20), mtime=0) * 257)
    with pytest.raises(UsageError, match="it unpacks to more than 268,435,456 bytes"):
        readers.read_idx(packed)


def test_drawings_that_are_too_large_are_refused(tmp_path):
    path, rng = tmp_path / "x.zip", np.random.default_rng(0)
    write_drawings(path, np.zeros((1, 1, 2000, 8), np.uint8), [(0, 0)], rng)
    with pytest.raises(UsageError, match="a drawing of 8 x 2000 pixels"):
        readers.read_drawings(path, 4, 1)


def write_idx(path, rng):
    path.write_bytes(gzip.compress(idx(size=500, content=rng.bytes(500)), mtime=0))


def write_npz(path, rng):
    with path.open("wb") as stream:
        np.savez_compressed(stream, images=rng.integers(0, 9, 50))


def write_npy(path, rng):
    with path.open("wb") as stream:
        np.save(stream, rng.normal(size=(2, 3)).astype(np.float32))


def write_drawing(path, rng):
    write_drawings(path, np.zeros((1, 1, 8, 8), np.uint8), [(0, 0)], rng)


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (write_idx, readers.read_idx),
        (write_npz, lambda path: readers.read_npz(path, ["images"])),
        (write_npy, lambda path: readers.read_npy(path, (2, 3))),
        (write_drawing, lambda path: readers.read_drawings(path, 4, 1)),
    ],
    ids=["idx", "npz", "npy", "drawings"],
)
def test_changed_bytes_are_refused_or_other_numbers(tmp_path, write, read):
    path, rng, errors = tmp_path / "x", np.random.default_rng(0), []
    write(path, rng)
    read(path)
    good = path.read_bytes()
    for _ in range(300):
        changed = bytearray(good)
        for at in rng.integers(0, len(good), rng.integers(1, 4)):
            changed[at] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read(path)
        except UsageError as error:
            errors.append(str(error))
    assert len(errors) > 50
    assert not any("\n" in error for error in errors)
