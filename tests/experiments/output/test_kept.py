"""What is computed once: kept whole or not at all, and damage is noticed."""

import os
import pickle

import numpy as np
import pytest

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import kept

SETTINGS = {"seed": 0, "rate": 0.1, "sizes": [1, 2]}
ARRAYS = {"a/b": np.arange(6.0, dtype=np.float32).reshape(2, 3), "c": np.ones(())}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDISCRETE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_arrays_come_back_for_the_same_settings_alone(folder):
    assert kept.find("net", SETTINGS) is None
    path = kept.keep("net", SETTINGS, ARRAYS)
    assert [path] == list(folder.iterdir())
    found = kept.find("net", dict(reversed(SETTINGS.items())))
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert kept.find("net", SETTINGS | {"seed": 1}) is None
    assert kept.find("other", SETTINGS) is None


def test_the_same_arrays_are_the_same_file(folder):
    first = kept.keep("net", SETTINGS, ARRAYS)
    content = first.read_bytes()
    assert kept.keep("net", SETTINGS, ARRAYS) == first
    assert first.read_bytes() == content


def test_a_flipped_bit_is_noticed(folder):
    path = kept.keep("net", SETTINGS, ARRAYS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"its checksum differs\). Delete it"):
        kept.find("net", SETTINGS)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UsageError, match="its checksum differs"):
        kept.find("net", SETTINGS)


def rename(path, content):
    """A file whose checksum is right, whatever it holds."""
    start = path.name.rpartition("-")[0]
    other = path.with_name(f"{start}-{kept._digest(content)}.npz")
    path.unlink()
    other.write_bytes(content)


def test_a_pickle_is_never_loaded(folder):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(folder / "exploded"),)

    path = kept.keep("net", SETTINGS, ARRAYS)
    rename(path, pickle.dumps(Bomb()))
    with pytest.raises(UsageError, match=r"cannot be used .* Delete it"):
        kept.find("net", SETTINGS)
    (path,) = folder.iterdir()
    with (folder / "object.npz").open("wb") as stream:
        np.savez(stream, settings=np.array([Bomb()], dtype=object))
    rename(path, (folder / "object.npz").read_bytes())
    (folder / "object.npz").unlink()
    with pytest.raises(UsageError, match=r"cannot be used .* Delete it"):
        kept.find("net", SETTINGS)
    assert not (folder / "exploded").exists()


def test_a_file_of_other_settings_under_this_name_is_refused(folder):
    path = kept.keep("net", SETTINGS, ARRAYS)
    other = kept.keep("net", SETTINGS | {"seed": 1}, ARRAYS)
    content = other.read_bytes()
    other.unlink()
    rename(path, content)
    with pytest.raises(UsageError, match="it is of other settings"):
        kept.find("net", SETTINGS)


def test_what_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("important")
    monkeypatch.setenv("JAXDISCRETE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="Set JAXDISCRETE_CACHE to another"):
        kept.keep("net", SETTINGS, ARRAYS)
    assert kept.find("net", SETTINGS) is None


def test_without_the_variable_it_is_in_the_user_s_cache(monkeypatch):
    monkeypatch.delenv("JAXDISCRETE_CACHE")
    assert kept.kept_folder().parts[-2:] == ("jaxdiscrete", "kept")
