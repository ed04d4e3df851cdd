"""Arrays that took long to compute, kept by the settings that they came from.

A file's name has a checksum of the settings and one of its content, so that it is there
as a whole or not at all, and damage is noticed before anything is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pooch

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.folder import replacing

#: Environment variable with the folder.
FOLDER_VARIABLE = "JAXDISCRETE_CACHE"

_SETTINGS = "settings"


def kept_folder() -> Path:
    """``$JAXDISCRETE_CACHE``, or else ``kept`` in the user's cache folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    folder = Path(given) if given else Path(pooch.os_cache("jaxdiscrete")) / "kept"
    return folder.expanduser()


def open_kept() -> Path:
    """The folder, which is there and can be written to.

    Returns:
      Its path.

    Raises:
      UsageError: if it cannot.
    """
    folder = kept_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(folder, os.W_OK | os.X_OK)
        reason = "a folder that cannot be written to"
    except OSError as error:
        is_writable, reason = False, str(error)
    if not is_writable:
        raise UsageError(
            f"Expected a folder for what is computed once at {folder}, got: {reason}. "
            f"Set {FOLDER_VARIABLE} to another."
        )
    return folder


def find(kind: str, settings: dict[str, Any]) -> dict[str, np.ndarray] | None:
    """Arrays that were kept before.

    Args:
      kind: of the arrays, the beginning of the file's name.
      settings: that they came from, of plain values.

    Returns:
      Arrays by name, or None if there are none of these settings.

    Raises:
      UsageError: if the file is damaged.
    """
    text = _as_text(settings)
    folder = kept_folder()
    for path in sorted(folder.glob(f"{kind}-{_digest(text)}-*.npz")):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _damaged(path, str(error)) from None
        if path.stem.rpartition("-")[2] != _digest(content):
            raise _damaged(path, "its checksum differs")
        arrays = _parse(path, content)
        if arrays.pop(_SETTINGS).tobytes() == text:
            return arrays
        raise _damaged(path, "it is of other settings")
    return None


def keep(kind: str, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Path:
    """Writes arrays for :func:`find`.

    Args:
      kind: of the arrays: letters alone.
      settings: that they came from, of plain values.
      arrays: by name.

    Returns:
      The file's path.

    Raises:
      UsageError: if it cannot be written.
    """
    folder, text = open_kept(), _as_text(settings)
    buffer = io.BytesIO()
    stored: dict[str, Any] = {_SETTINGS: np.frombuffer(text, np.uint8), **arrays}
    np.savez(buffer, **stored)
    content = buffer.getvalue()
    path = folder / f"{kind}-{_digest(text)}-{_digest(content)}.npz"
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"Expected to write {path}, got: {error}. Free some space, or set "
            f"{FOLDER_VARIABLE} to another folder."
        ) from None
    return path


def _as_text(settings: dict[str, Any]) -> bytes:
    return json.dumps(settings, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _parse(path: Path, content: bytes) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if _SETTINGS not in arrays:
            raise ValueError("no settings")
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _damaged(path, str(error)) from None
    return arrays


def _damaged(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"Expected {path} as it was written, got a file that cannot be used "
        f"({reason}). Delete it: it is computed again."
    )
