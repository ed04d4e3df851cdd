"""Real data where there is some, and a server on this machine for the rest."""

import http.server
import threading

import pytest

from jaxdiscrete.experiments.data.checksums import checksum
from jaxdiscrete.experiments.data.load import DATASETS
from jaxdiscrete.experiments.data.sources import DataFile, Source
from tests.experiments.data.helpers import (
    CHECKSUM,
    CONTENT,
    NAME,
    PATH,
    SIZE,
    with_source,
)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Makes a hand-made file the published one of a set."""
    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path))

    def put(name, *paths, method="sha256"):
        files = [DataFile(path.name, checksum(path, method)) for path in paths]
        source = Source((tuple(files),), "", "")
        monkeypatch.setitem(DATASETS, name, with_source(name, source))

    return put


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
        source = Source(((file,),), "free", "Nobody")
        monkeypatch.setitem(DATASETS, NAME, with_source(NAME, source))
        return folder / PATH

    return put
