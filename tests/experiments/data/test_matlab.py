"""MATLAB files, and files whose reading ends a process."""

import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from jaxdiscrete.experiments.data import matlab, readers
from jaxdiscrete.experiments.errors import UsageError

#: Where the type of the second element stands, of which SciPy trusts the length.
TYPE_OF_SHAPE = 176


def saved(matrices, **options):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, matrices, **options)
    return buffer.getvalue()


def refused(path, content, reason=""):
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.mat to be a MATLAB file with data") as e:
        readers.read_mat(path, ["data"])
    assert reason in str(e.value)
    assert "\n" not in str(e.value)


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(shape, num_bytes):
    """A compressed matrix of float64 whose shape and content need not agree."""
    head = element(6, struct.pack("<II", 6, 0))
    head += element(5, struct.pack("<ii", *shape)) + element(1, b"data")
    head += struct.pack("<II", 9, num_bytes)
    packer = zlib.compressobj(1)
    packed = packer.compress(struct.pack("<II", 14, len(head) + num_bytes) + head)
    for start in range(0, num_bytes, 1 << 20):
        packed += packer.compress(bytes(min(1 << 20, num_bytes - start)))
    packed += packer.flush()
    text = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\x01IM"
    return text + struct.pack("<II", 15, len(packed)) + packed


def test_matrices_are_read_and_what_ends_the_reader_is_an_error(tmp_path):
    path = tmp_path / "x.mat"
    path.write_bytes(saved({"data": np.eye(2)}, do_compression=True))
    assert readers.read_mat(path, ["data"])[0].tolist() == [[1, 0], [0, 1]]
    changed = bytearray(saved({"data": np.eye(4)}))
    changed[TYPE_OF_SHAPE] = 0
    refused(path, changed, "its reader ended by SIG")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"junk" * 99, id="junk"),
        *(
            pytest.param(content, id=name, marks=pytest.mark.thorough)
            for name, content in {
                "empty": b"",
                "cut": saved({"data": np.eye(2)}, do_compression=True)[:-5],
                "other_name": saved({"other": np.eye(2)}),
                "cells": saved({"data": np.array([["a", 1]], object)}),
                "structure": saved({"data": {"a": np.eye(2)}}),
                # What MATLAB 7.3 writes behind its 128 bytes of text is HDF5.
                "newer": saved({"data": 1.0})[:124] + b"\0\x02IM" + b"\x89HDF",
            }.items()
        ),
    ],
)
def test_other_files_are_refused(tmp_path, content):
    refused(tmp_path / "x.mat", content)


@pytest.mark.thorough
def test_a_file_that_is_missing_and_one_that_takes_too_long(tmp_path, monkeypatch):
    path = tmp_path / "x.mat"
    with pytest.raises(UsageError, match="No such file"):
        readers.read_mat(path, ["data"])
    monkeypatch.setattr(matlab, "_MOST_SECONDS", 1e-3)
    refused(path, saved({"data": np.eye(2)}), "no end after 0.001 seconds")


@pytest.mark.thorough
def test_matrices_that_are_too_large_are_refused(tmp_path):
    """By the shape that is declared, and by memory where that is a lie."""
    path = tmp_path / "x.mat"
    refused(path, matrix((10_000, 7_500), 32), "it unpacks to 600,000,000 bytes")
    refused(path, matrix((2, 2), 600_000_000), "MemoryError")
    path.write_bytes(matrix((2, 2), 32))
    assert readers.read_mat(path, ["data"])[0].tolist() == [[0, 0], [0, 0]]


@pytest.mark.thorough
def test_changed_bytes_are_refused_or_other_numbers(tmp_path):
    path, rng = tmp_path / "x.mat", np.random.default_rng(0)
    good, errors = saved({"data": np.eye(4)}), []
    for _ in range(40):
        changed = bytearray(good)
        changed[rng.integers(128, len(good))] = rng.integers(256)
        path.write_bytes(changed)
        try:
            readers.read_mat(path, ["data"])
        except UsageError as error:
            errors.append(str(error))
    assert len(errors) > 5
    assert not any("\n" in error for error in errors)
