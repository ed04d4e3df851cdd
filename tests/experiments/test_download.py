"""Downloads from a server on this machine: good, broken, slow and none."""

import dataclasses
import errno
import hashlib
import http.server
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pooch
import pytest
from rich.console import Console

from jaxdiscrete.experiments.data import (
    DATASETS,
    SOURCES,
    DataFile,
    Source,
    data_folder,
    describe,
    fetch,
    load_dataset,
    verify,
)
from jaxdiscrete.experiments.data import download as download_module
from jaxdiscrete.experiments.data.checksums import checksum, find_damage
from jaxdiscrete.experiments.data.download import ensure_files
from jaxdiscrete.experiments.errors import UsageError

CONTENT = np.random.default_rng(0).bytes(300_000)
SIZE = len(CONTENT)
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
NAME, PATH = "mnist", "mnist/file.gz"


class Handler(http.server.BaseHTTPRequestHandler):
    """The first part of the address says what goes wrong."""

    def do_GET(self):
        _, behaviour, name = self.path.split("/", 2)
        self.server.requests.append(self.path)
        content = self.server.files.get(name)
        if behaviour == "missing" or content is None:
            return self.send_error(404)
        sent = len(content) // 2 if behaviour in ("short", "slow") else len(content)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(bytes(sent) if behaviour == "wrong" else content[:sent])
        self.wfile.flush()
        if behaviour == "slow":
            self.server.stopping.wait(60)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    # Killed clients break their connections.
    def handle_error(self, request, client_address):
        pass


@pytest.fixture
def server(monkeypatch):
    """Serves what is in its ``files``."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.files, server.requests = {PATH: CONTENT}, []
        server.stopping = threading.Event()
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stopping.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def publish(server, folder, monkeypatch):
    """Makes the file of a set be served from the given places."""

    def put(*places, checksum=CHECKSUM, size=SIZE):
        mirrors = tuple(
            place if "://" in place else f"{server.address}/{place}/{PATH}"
            for place in places
        )
        file = DataFile(PATH, checksum, size, mirrors)
        monkeypatch.setitem(SOURCES, NAME, Source(((file,),), "free", "Nobody"))
        return folder / PATH

    return put


def contents(folder):
    return [p.name for p in folder.rglob("*") if p.is_file()]


def refused():
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file.gz"


@pytest.mark.parametrize("bad", ["missing", "wrong", "short", "refused"])
def test_the_next_mirror_is_tried(publish, server, folder, bad):
    path = publish(refused() if bad == "refused" else bad, "good")
    assert ensure_files(NAME) == (path,)
    assert path.read_bytes() == CONTENT
    assert contents(folder) == ["file.gz"]
    count = len(server.requests)
    ensure_files(NAME)
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
    (file,) = SOURCES[NAME].variants[0]
    expected = (
        f"Expected {PATH} at one of its addresses, got "
        rf"\[{file.mirrors[0]}: .*({reason}).*; {file.mirrors[1]}: .*\]\. "
        f"Check the network and try again, or download it yourself to {path}"
    )
    with pytest.raises(UsageError, match=expected):
        ensure_files(NAME)
    assert contents(folder) == []
    publish("good")
    ensure_files(NAME)
    assert path.read_bytes() == CONTENT


def test_unknown_sizes_download_too(publish, folder):
    path = publish("short", "good", size=None)
    ensure_files(NAME)
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
            load_dataset(NAME)
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
    (file,) = SOURCES[NAME].variants[0]
    code = (
        "from jaxdiscrete.experiments.data import SOURCES, DataFile, Source, download\n"
        f"SOURCES[{NAME!r}] = Source((({file!r},),), '', '')\n"
        f"download.ensure_files({NAME!r})\n"
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
    ensure_files(NAME)
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
        threading.Thread(target=lambda: results.append(ensure_files(NAME)))
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
            ensure_files(NAME)
    assert contents(folder) == []
    ensure_files(NAME)
    assert path.read_bytes() == CONTENT


def test_a_folder_that_is_a_file(publish, folder):
    publish("good")
    folder.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"Expected to write .*Set JAXDISCRETE_DATA"):
        ensure_files(NAME)
    assert folder.read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_read_only_folders_are_read(publish, folder):
    path = publish("good")
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o555)
    with pytest.raises(UsageError, match=r"Expected to write .*Permission denied"):
        ensure_files(NAME)
    path.parent.chmod(0o755)
    path.write_bytes(CONTENT)
    path.parent.chmod(0o555)
    assert ensure_files(NAME) == (path,)
    path.parent.chmod(0o755)


def test_files_that_cannot_be_read(publish, folder):
    path = publish("good", size=None)
    path.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"a file that cannot be read \(.*directory"):
        ensure_files(NAME)


def test_git_knows_a_file_by_its_blob(tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    # What git hash-object says.
    expected = "git-blob:ce013625030ba8dba906f756967f9e9ca394464a"
    assert checksum(path, "git-blob") == expected
    assert find_damage(path, DataFile("hello", expected)) is None
    path.write_bytes(b"hello")
    assert "not git-blob:ce0136" in find_damage(path, DataFile("hello", expected))


def test_the_folder_is_the_variable_or_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JAXDISCRETE_DATA", "~/mine")
    assert data_folder() == tmp_path / "mine"
    for unset in (lambda v: monkeypatch.setenv(v, ""), monkeypatch.delenv):
        unset("JAXDISCRETE_DATA")
        assert data_folder() == pooch.os_cache("jaxdiscrete")


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
    assert text.count("│ missing") == len(DATASETS) - 2
    for command in (fetch, verify):
        with pytest.raises(UsageError, match="Expected a data set among digits, mnist"):
            command(["digits", "other"], screen)
    with pytest.raises(UsageError, match=r"names of data sets among .*, got none"):
        fetch([], screen)


@pytest.mark.parametrize("name", SOURCES)
def test_real_files_download_and_load(name, real_data, server, folder, monkeypatch):
    original = real_data(name)
    files = []
    for file in download_module.stored_files(name, original):
        server.files[file.path] = (original / file.path).read_bytes()
        mirrors = tuple(f"{server.address}/{p}/{file.path}" for p in ("short", "good"))
        files.append(dataclasses.replace(file, mirrors=mirrors))
    source = dataclasses.replace(SOURCES[name], variants=(tuple(files),))
    monkeypatch.setitem(SOURCES, name, source)
    downloaded = load_dataset(name)
    monkeypatch.setenv("JAXDISCRETE_DATA", str(original))
    for a, b in zip(downloaded[:3], load_dataset(name)[:3], strict=True):
        np.testing.assert_array_equal(a, b)
    assert sorted(contents(folder)) == sorted(p.path.split("/")[1] for p in files)


def test_the_table_is_complete():
    assert set(SOURCES) == set(DATASETS) - {"digits"}
    for source in SOURCES.values():
        assert source.licence
        assert source.citation
        for file in source.variants[-1]:
            assert len(file.mirrors) >= 2
            assert all(m.endswith(file.path.split("/")[1]) for m in file.mirrors)
        for file in sum(source.variants, ()):
            method, _, digits = file.checksum.partition(":")
            assert len(bytes.fromhex(digits)) == {"sha256": 32, "git-blob": 20}[method]
