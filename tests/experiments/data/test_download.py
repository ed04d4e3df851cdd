"""Downloads from a server on this machine: good, broken, slow and none."""

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pooch
import pytest
from rich.console import Console

from jaxdiscrete.experiments.data import download as download_module
from jaxdiscrete.experiments.data.dataset import DatasetInfo
from jaxdiscrete.experiments.data.download import data_folder, ensure_files
from jaxdiscrete.experiments.data.inventory import fetch
from jaxdiscrete.experiments.data.load import DATASETS
from jaxdiscrete.experiments.errors import UsageError
from tests.experiments.data.helpers import (
    CHECKSUM,
    CONTENT,
    NAME,
    PATH,
    contents,
    load,
    refused,
    with_source,
)


@pytest.mark.parametrize("bad", ["missing", "wrong", "short", "refused"])
def test_the_next_mirror_is_tried(publish, server, folder, bad):
    path = publish(refused() if bad == "refused" else bad, "good")
    assert ensure_files(DATASETS[NAME]) == (path,)
    assert path.read_bytes() == CONTENT
    assert contents(folder) == ["file.gz"]
    count = len(server.requests)
    ensure_files(DATASETS[NAME])
    assert len(server.requests) == count


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("missing", "404 Client Error: Not Found"),
        ("wrong", "a file with sha256:[0-9a-f]{64}, not sha256:"),
        ("short", "the transfer broke off"),
        ("refused", "the connection failed"),
        ("slow", "the connection failed"),
        ("ftq://nowhere/file.gz", "No connection adapters"),
    ],
)
def test_failures_name_addresses_and_leave_nothing(
    publish, folder, monkeypatch, bad, reason
):
    monkeypatch.setattr(download_module, "_TIMEOUT_SECONDS", 0.2)
    bad = refused() if bad == "refused" else bad
    path = publish(bad, bad)
    (file,) = DATASETS[NAME].source.variants[0]
    expected = (
        f"Expected {PATH} at one of its addresses, got "
        rf"\[{file.mirrors[0]}: .*({reason}).*; {file.mirrors[1]}: .*\]\. "
        f"Check the network and try again, or download it yourself to {path}"
    )
    with pytest.raises(UsageError, match=expected):
        ensure_files(DATASETS[NAME])
    assert contents(folder) == []
    publish("good")
    ensure_files(DATASETS[NAME])
    assert path.read_bytes() == CONTENT


def test_unknown_sizes_download_too(publish, folder):
    path = publish("short", "good", size=None)
    ensure_files(DATASETS[NAME])
    assert path.read_bytes() == CONTENT


def test_damaged_files_are_kept_until_fetched(publish, folder):
    path = publish("good")
    path.parent.mkdir(parents=True)
    for content, damage in [
        (CONTENT[:-1], "a truncated file of 299999 bytes instead of 300000"),
        (bytes(len(CONTENT)), f"a file with sha256:[0-9a-f]+, not {CHECKSUM}"),
    ]:
        path.write_bytes(content)
        expected = (
            f"Expected {path} as it was published, got {damage}. Delete it, or replace "
            "it with: jaxdiscrete data fetch mnist"
        )
        with pytest.raises(UsageError, match=expected):
            load(NAME)
        assert path.read_bytes() == content
        fetch([NAME], Console(quiet=True))
        assert path.read_bytes() == CONTENT


def test_a_failed_fetch_keeps_the_damaged_file(publish, folder):
    path = publish("missing")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="at one of its addresses"):
        fetch([NAME], Console(quiet=True))
    assert path.read_bytes() == b"mine"


def test_damaged_files_without_an_address_are_never_replaced(publish, folder):
    path = publish()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="Delete it, then: jaxdiscrete data fetch"):
        fetch([NAME], Console(quiet=True))
    assert path.read_bytes() == b"mine"


def test_a_killed_download_leaves_nothing_that_loads(publish, server, folder):
    path = publish("slow")
    (file,) = DATASETS[NAME].source.variants[0]
    code = (
        "from jaxdiscrete.experiments.data import download\n"
        "from jaxdiscrete.experiments.data.dataset import SetInfo\n"
        "from jaxdiscrete.experiments.data.sources import DataFile, Source\n"
        f"source = Source((({file!r},),), '', '')\n"
        f"info = SetInfo(name={NAME!r}, title='', source=source)\n"
        "download.ensure_files(info)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 60
        while not any(p.stat().st_size for p in folder.rglob("*.part")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    (part,) = folder.rglob("*.part")
    assert not path.exists()
    publish("good")
    ensure_files(DATASETS[NAME])
    assert path.read_bytes() == CONTENT
    # It may be of a download that goes on, until it has not changed for long.
    assert part.exists()
    os.utime(part, (0, 0))
    fetch([NAME], Console(quiet=True))
    assert contents(folder) == ["file.gz"]


def test_two_downloads_at_once_both_succeed(publish, folder):
    path = publish("good")
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(ensure_files(DATASETS[NAME])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(path,)] * 4
    assert path.read_bytes() == CONTENT
    assert contents(folder) == ["file.gz"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, "Expected 300,000 bytes for .*file.gz, got a full disk. Free"),
        (errno.EDQUOT, "got a full disk.*JAXDISCRETE_DATA to a folder on another"),
        (errno.EROFS, "to write .*file.gz, got: .*Read-only.*Set JAXDISCRETE_DATA"),
        (errno.EACCES, "or put the file there from http://127.*/good/mnist/file.gz"),
    ],
)
def test_a_folder_that_takes_nothing(publish, folder, monkeypatch, code, expected):
    path = publish("good")

    def write(downloader, url, output_file, pooch):
        with open(output_file, "wb") as part:
            part.write(CONTENT[:100])
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(pooch.HTTPDownloader, "__call__", write)
        with pytest.raises(UsageError, match=expected):
            ensure_files(DATASETS[NAME])
    assert contents(folder) == []
    ensure_files(DATASETS[NAME])
    assert path.read_bytes() == CONTENT


def test_a_folder_that_is_a_file(publish, folder):
    publish("good")
    folder.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"Expected to write .*Set JAXDISCRETE_DATA"):
        ensure_files(DATASETS[NAME])
    assert folder.read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_read_only_folders_are_read(publish, folder):
    path = publish("good")
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o555)
    with pytest.raises(UsageError, match=r"Expected to write .*Permission denied"):
        ensure_files(DATASETS[NAME])
    path.parent.chmod(0o755)
    path.write_bytes(CONTENT)
    path.parent.chmod(0o555)
    assert ensure_files(DATASETS[NAME]) == (path,)
    path.parent.chmod(0o755)


def test_files_that_cannot_be_read(publish, folder):
    path = publish("good", size=None)
    path.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"a file that cannot be read \(.*directory"):
        ensure_files(DATASETS[NAME])


def test_the_folder_is_the_variable_or_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JAXDISCRETE_DATA", "~/mine")
    assert data_folder() == tmp_path / "mine"
    for unset in (lambda v: monkeypatch.setenv(v, ""), monkeypatch.delenv):
        unset("JAXDISCRETE_DATA")
        assert data_folder() == pooch.os_cache("jaxdiscrete")


@pytest.mark.parametrize("name", [n for n, i in DATASETS.items() if i.source])
def test_real_files_download_and_load(name, real_data, server, folder, monkeypatch):
    original = real_data(name)
    files, source = [], DATASETS[name].source
    for file in download_module.stored_files(source, original):
        server.files[file.path] = (original / file.path).read_bytes()
        mirrors = tuple(f"{server.address}/{p}/{file.path}" for p in ("short", "good"))
        files.append(dataclasses.replace(file, mirrors=mirrors))
    changed = dataclasses.replace(source, variants=(tuple(files),))
    monkeypatch.setitem(DATASETS, name, with_source(name, changed))
    for path, file in zip(ensure_files(DATASETS[name]), files, strict=True):
        assert path.read_bytes() == server.files[file.path]
    if isinstance(DATASETS[name], DatasetInfo):
        downloaded = load(name)
        monkeypatch.setenv("JAXDISCRETE_DATA", str(original))
        for a, b in zip(downloaded[:3], load(name)[:3], strict=True):
            np.testing.assert_array_equal(a, b)
    assert sorted(contents(folder)) == sorted(p.path.split("/")[1] for p in files)
