"""File formats, and files that are something else."""

import gzip
import io
import itertools
import os
import struct
import zipfile

import numpy as np
import pytest
import scipy.io

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


def test_mat_refuses_other_files(tmp_path):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"data": np.eye(2)}, do_compression=True)
    assert readers.read_mat(path, ["data"])[0].tolist() == [[1, 0], [0, 1]]
    good = path.read_bytes()
    scipy.io.savemat(path, {"other": np.eye(2)})
    other = path.read_bytes()
    scipy.io.savemat(path, {"data": np.array([["a", 1]], object)})
    cells = path.read_bytes()
    # What MATLAB 7.3 writes behind its 128 bytes of text is HDF5.
    newer = good[:124] + b"\0\x02IM" + b"\x89HDF"
    for content in (b"", b"junk" * 99, good[:-5], other, cells, newer):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"x\.mat to be a MATLAB file with data"):
            readers.read_mat(path, ["data"])
    with pytest.raises(UsageError, match=r"y\.mat to be a MATLAB file"):
        readers.read_mat(tmp_path / "y.mat", ["data"])


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
