"""One process at a time writes to a folder; the next one is told which."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from jaxdiscrete.experiments.errors import RunError, UsageError

LOCK_FILE = ".lock"
#: Beside the lock and not in it: opening a lock empties it in some versions.
HOLDER_FILE = ".holder.json"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds a folder while the block runs.

    The operating system frees the lock when its process ends, however it ends.

    Args:
      folder: that exists.

    Yields:
      Nothing.

    Raises:
      UsageError: if another process holds it, or another thread of this one.
    """
    holder = folder / HOLDER_FILE
    lock = filelock.FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UsageError(
            f"Expected {folder} for this process alone, got one that "
            f"{_who(holder)} writes to. Wait until it ends, stop it, or choose another "
            "--output-dir."
        ) from None
    try:
        since = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
        holder.write_text(json.dumps(_me() | {"since": since}) + "\n", encoding="utf-8")
        yield
    finally:
        if _read(holder).items() >= _me().items():
            holder.unlink()
        lock.release()


def check_held(folder: Path) -> None:
    """Raises where a folder that this process holds went away.

    Args:
      folder: given to :func:`held`.

    Raises:
      RunError: if there is none, or another one in its place.
    """
    if not _read(folder / HOLDER_FILE).items() >= _me().items():
        raise RunError(
            f"Expected {folder} as it was when this run began, got a folder that was "
            "moved, deleted or replaced meanwhile. Nothing more is written there; go "
            "on with --resume where its checkpoints are."
        )


@contextlib.contextmanager
def waited_for(path: Path) -> Iterator[None]:
    """Holds a file of its own, once no other process does.

    Args:
      path: of the lock.

    Yields:
      Nothing.
    """
    with filelock.FileLock(path):
        yield


def _me() -> dict[str, Any]:
    return {"process": os.getpid(), "host": socket.gethostname()}


def _read(holder: Path) -> dict[str, Any]:
    try:
        told = json.loads(holder.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _who(holder: Path) -> str:
    told = _read(holder)
    if told.keys() >= {"process", "host", "since"}:
        return f"process {told['process']} on {told['host']}, since {told['since']},"
    # It has just begun, or is about to end.
    return "another process"
