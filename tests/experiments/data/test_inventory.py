"""The command that lists, fetches and verifies data sets."""

import io

import pytest
from rich.console import Console

from jaxdiscrete.experiments.data.inventory import describe, fetch, verify
from jaxdiscrete.experiments.data.load import DATASETS
from jaxdiscrete.experiments.errors import UsageError
from tests.experiments.data.helpers import NAME


def test_verify_lists_all_and_then_fails(publish, folder, monkeypatch):
    path = publish("good")
    screen = Console(record=True, width=1000, file=io.StringIO())
    verify([], screen)
    with pytest.raises(UsageError, match=r"Run: jaxdiscrete data fetch mnist$"):
        verify([NAME, "digits"], screen)
    fetch([NAME, "digits"], screen)
    verify([NAME, "digits"], screen)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="got damaged or missing ones of mnist"):
        verify([], screen)
    describe(screen)
    text = screen.export_text()
    assert f"mnist: missing; {path}: no such file\n" in text
    assert "mnist: present; Nobody; licence: free\n" in text
    assert "digits: built in\n" in text
    assert f"mnist: damaged; {path}: a truncated file of 0 bytes" in text
    assert f"Data in {folder}" in text
    for name in DATASETS:
        assert name in text
    assert text.count(" missing \n") == len(DATASETS) - 3
    for command in (fetch, verify):
        with pytest.raises(UsageError, match=r"Expected a data set among .*, digits"):
            command(["digits", "other"], screen)
    with pytest.raises(UsageError, match=r"names of data sets among .*, got none"):
        fetch([], screen)


def test_a_file_that_was_unpacked_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3-ubyte", "t10k-images.idx3-ubyte"):
        (tmp_path / "mnist" / name).write_bytes(b"unpacked")
    screen = Console(record=True, width=1000, file=io.StringIO())
    with pytest.raises(UsageError):
        verify(["mnist"], screen)
    text = screen.export_text()
    for name in ("train-images-idx3-ubyte", "t10k-images.idx3-ubyte"):
        assert f"no such file, but {name}, which is it unpacked. Only the" in text
