"""The oracle's arrays, and files that are something else."""

import io
import os

import numpy as np
import pytest

from jaxdiscrete.experiments.data.download import ensure_files
from jaxdiscrete.experiments.data.load import DATASETS
from jaxdiscrete.experiments.data.readers import read_npy
from jaxdiscrete.experiments.data.sets import seqgan_oracle
from jaxdiscrete.experiments.errors import UsageError


def test_the_arrays_are_standard_normal(real_data):
    real_data("seqgan_oracle")
    arrays = seqgan_oracle.read(ensure_files(DATASETS["seqgan_oracle"]))
    assert {name: a.shape for name, a in arrays.items()} == seqgan_oracle.SHAPES
    for array in arrays.values():
        assert array.dtype == np.float32
        assert abs(array.mean()) < 5 / np.sqrt(array.size)
        assert abs(array.std() - 1) < 5 / np.sqrt(2 * array.size)


def test_missing_and_damaged_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path))
    files = DATASETS["seqgan_oracle"].source.variants[0]
    for file in files:
        path = tmp_path / file.path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(file.size))
    with pytest.raises(UsageError, match=r"embedding\.npz as it was published, got a"):
        ensure_files(DATASETS["seqgan_oracle"])


def test_other_arrays_are_refused_and_nothing_is_unpickled(tmp_path):
    path, trap = tmp_path / "x.npz", tmp_path / "trap"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(trap),)

    def content(array):
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    good = np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(content(good))
    np.testing.assert_array_equal(read_npy(path, (2, 3)), good)
    bad = [good.T, good.astype(np.float64), np.array([Bomb()], object)]
    for wrong in (b"", content(good)[:-1], *map(content, bad)):
        path.write_bytes(wrong)
        with pytest.raises(UsageError, match=r"x\.npz to be an array of float32 \[2,"):
            read_npy(path, (2, 3))
    assert not trap.exists()
