"""The data folder: files in it are checked before use, missing ones downloaded."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from jaxdiscrete.experiments.data.checksums import find_damage
from jaxdiscrete.experiments.data.dataset import SetInfo
from jaxdiscrete.experiments.data.sources import DataFile, Source
from jaxdiscrete.experiments.errors import UsageError

#: Environment variable with the data folder.
FOLDER_VARIABLE = "JAXDISCRETE_DATA"
#: What messages tell the user to run, with a name behind it.
FETCH_COMMAND = "jaxdiscrete data fetch"

_TIMEOUT_SECONDS = 30
_CHUNK = 1 << 16
#: A download that wrote nothing for so long has died.
_ABANDONED_SECONDS = 3600


def data_folder() -> Path:
    """``$JAXDISCRETE_DATA``, or else the user's cache folder."""
    folder = os.environ.get(FOLDER_VARIABLE) or pooch.os_cache("jaxdiscrete")
    return Path(folder).expanduser()


def stored_files(source: Source, folder: Path) -> tuple[DataFile, ...]:
    """The files that a set is read from.

    Args:
      source: the files of the set.
      folder: the data folder.

    Returns:
      Those of the first way to store it that is there as a whole, or else of the
      one that can be downloaded.
    """
    for files in source.variants:
        if all(os.path.exists(folder / file.path) for file in files):
            return files
    return source.variants[-1]


def ensure_files(info: SetInfo, *, replace_damaged: bool = False) -> tuple[Path, ...]:
    """Makes sure that the files of a set are there and are the published ones.

    Args:
      info: the set.
      replace_damaged: download what is damaged. Default: an error, because a file
        of the user's may be worth something to them.

    Returns:
      Their paths, in the order of the source; none for a set without files.

    Raises:
      UsageError: if a file is damaged, or missing and cannot be downloaded.
    """
    if info.source is None:
        return ()
    folder = data_folder()
    files = stored_files(info.source, folder)
    for file in files:
        path = folder / file.path
        if not os.path.exists(path):
            _download(file, path)
        elif damage := find_damage(path, file):
            if not (replace_damaged and file.mirrors):
                raise UsageError(_damaged(path, file, damage, info.name))
            _download(file, path)
    return tuple(folder / file.path for file in files)


def _damaged(path: Path, file: DataFile, damage: str, name: str) -> str:
    command = f"{FETCH_COMMAND} {name}"
    # Only what has an address can come back by itself.
    remedy = f"or replace it with: {command}" if file.mirrors else f"then: {command}"
    return f"Expected {path} as it was published, got {damage}. Delete it, {remedy}."


def _download(file: DataFile, target: Path) -> None:
    failures = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target.parent)
        for address in file.mirrors:
            with _partial(target) as part:
                failure = _transfer(address, part, file) or find_damage(part, file)
                if failure is None:
                    os.replace(part, target)
                    return
            failures.append(f"{address}: {failure}")
    except OSError as error:
        raise UsageError(_unwritable(file, target, error)) from None
    raise UsageError(
        f"Expected {file.path} at one of its addresses, got [{'; '.join(failures)}]. "
        f"Check the network and try again, or download it yourself to {target}."
    )


def _transfer(address: str, part: Path, file: DataFile) -> str | None:
    # The bytes must arrive as they are stored, or their checksum is another one.
    headers = {"Accept-Encoding": "identity"}
    with tqdm(
        desc=Path(file.path).name,
        # pooch replaces it by what the server says; none would not count as a bar.
        total=file.size or 1,
        unit="B",
        unit_scale=True,
        disable=None,
    ) as bar:
        downloader = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=_CHUNK,
            timeout=_TIMEOUT_SECONDS,
            headers=headers,
        )
        try:
            downloader(address, str(part), None)
        except requests.HTTPError as error:
            return str(error).partition(" for url")[0]
        except requests.Timeout:
            return f"no answer within {_TIMEOUT_SECONDS} seconds"
        except requests.exceptions.ChunkedEncodingError:
            return "the transfer broke off"
        except requests.ConnectionError:
            return "the connection failed"
        except requests.RequestException as error:
            return str(error)
    return None


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[Path]:
    # No two processes share one, and no reader takes one for the file.
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Deletes what killed downloads left in a set's folder, and not what goes on."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                part.unlink()


def _unwritable(file: DataFile, target: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        size = "enough room" if file.size is None else f"{file.size:,} bytes"
        return (
            f"Expected {size} for {target}, got a full disk. Free some space, or set "
            f"{FOLDER_VARIABLE} to a folder on another disk."
        )
    return (
        f"Expected to write {target}, got: {error}. Set {FOLDER_VARIABLE} to a folder "
        f"that can be written, or put the file there from {' or '.join(file.mirrors)}."
    )
