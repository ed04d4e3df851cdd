"""Run folders that two runs never share by accident, and atomic writes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import lock
from jaxdiscrete.experiments.settings.fields import flatten

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
SUMMARY_FILE = "summary.json"
#: What a resumed run may change: training for longer.
RESUMABLE_KEYS = frozenset({"training.num_steps"})
_OF_LOCKS = (lock.LOCK_FILE, lock.HOLDER_FILE)
_IN_EVERY_ROW = ("step", "loss", "steps_per_second", "seconds")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of ``path`` if the block succeeds.

    Args:
      path: the file to write.

    Yields:
      A path of the same suffix in the same folder.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes one JSON document.

    Args:
      path: the file.
      value: anything that ``json`` can write.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_metrics(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Writes ``metrics.jsonl``, one line a block.

    Args:
      folder: of the run.
      rows: all of them so far.
    """
    with replacing(folder / METRICS_FILE) as temporary:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        temporary.write_text(lines, encoding="utf-8")


def write_texts(folder: Path, texts: dict[str, list[str]]) -> None:
    """Writes lines of text.

    Args:
      folder: of the run.
      texts: lines by file name.
    """
    for name, lines in texts.items():
        with replacing(folder / f"{name}.txt") as temporary:
            temporary.write_text("\n".join([*lines, ""]), encoding="utf-8")


def read_metrics(
    folder: Path, last_step: int, steps_per_block: int | None = None
) -> list[dict[str, Any]]:
    """The metrics up to a checkpoint, from which a resumed run goes on.

    Args:
      folder: of the run.
      last_step: of the checkpoint; later lines are left out.
      steps_per_block: steps between two lines of a run that goes on. Default: the
        run is only read, for what its lines hold.

    Returns:
      The rows.

    Raises:
      UsageError: if the file is missing or damaged, or a line is missing.
    """
    path = folder / METRICS_FILE
    needed = ("step",) if steps_per_block is None else _IN_EVERY_ROW
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"Expected metrics in {path}, got a file that cannot be read ({error}). "
            "Restore it, or start again in another --output-dir."
        ) from None
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if row["step"] <= last_step:
                rows.append({key: row[key] for key in (*needed, *row)})
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"Expected JSON with {', '.join(needed)} in line {number} of "
                f"{path}, got {line[:40]!r} ({type(error).__name__}). Restore it, "
                f"or delete it if it is of a step after {last_step}, that of the "
                "checkpoint: it is written again."
            ) from None
    if rows and steps_per_block is not None:
        expected = range(steps_per_block, last_step + 1, steps_per_block)
        missing = set(expected) - {row["step"] for row in rows}
        if missing:
            raise UsageError(
                f"Expected a line of every block in {path}, got none of step "
                f"{min(missing)}, before the checkpoint of step {last_step}. Restore "
                "it, or delete the checkpoints of that step and later ones, and resume "
                "from the one before."
            )
    return rows


@contextlib.contextmanager
def open_folder(
    folder: Path, config: dict[str, Any], *, resume: bool, overwrite: bool
) -> Iterator[None]:
    """Creates a run's folder, or takes up or replaces an existing one, and holds it.

    Args:
      folder: of the run.
      config: what is written to ``config.json``, as nested tables.
      resume: go on with the run in the folder.
      overwrite: delete the run in the folder.

    Yields:
      Nothing; no other process writes to the folder meanwhile.

    Raises:
      UsageError: if the folder exists and neither flag is given, both are, the
        folder holds no run, a resumed run had other settings, or another process
        writes to it.
    """
    if resume and overwrite:
        raise UsageError("Expected --resume or --overwrite, got both. Choose one.")
    if resume:
        _read_settings(folder)
    elif overwrite and folder.exists():
        if folder.is_symlink():
            raise UsageError(
                f"Expected a folder at {folder}, got a link, which --overwrite does "
                f"not follow. Give the folder itself: {folder.resolve()}."
            )
        if folder.is_dir() and not _is_of_a_run(folder):
            raise UsageError(
                f"Expected {folder} to hold a run, got a folder without "
                f"{CONFIG_FILE}, which --overwrite does not delete. "
                + _remedy_without_config(folder)
            )
    try:
        folder.mkdir(parents=True, exist_ok=resume or (overwrite and folder.is_dir()))
    except FileExistsError:
        if not folder.is_dir():
            raise UsageError(
                f"Expected a folder or nothing at {folder}, got a file. Choose another "
                "--output-dir."
            ) from None
        if not (folder / CONFIG_FILE).exists():
            raise UsageError(
                f"Expected no folder at {folder}, got one without {CONFIG_FILE}. "
                + _remedy_without_config(folder)
            ) from None
        raise UsageError(
            f"Expected no folder at {folder}, got an existing one. Pass --resume to "
            "continue its run, --overwrite to replace it, or another --output-dir."
        ) from None
    except OSError as error:
        raise UsageError(
            f"Expected to create the folder {folder}, got: {error}. Choose another "
            "--output-dir."
        ) from None
    with lock.held(folder):
        if resume:
            _check_same_settings(folder, config)
        elif overwrite:
            _empty(folder)
        write_json(folder / CONFIG_FILE, config)
        yield


def _empty(folder: Path) -> None:
    """Deletes what is in a folder, and not its lock: others wait for that file."""
    for path in folder.iterdir():
        if path.name in _OF_LOCKS:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_of_a_run(folder: Path) -> bool:
    """Tells whether a folder holds a run, or one that was stopped as it began."""
    has_config = (folder / CONFIG_FILE).exists()
    temporary = f".{Path(CONFIG_FILE).stem}."
    return has_config or all(
        p.name.startswith(temporary) or p.name in _OF_LOCKS for p in folder.iterdir()
    )


def _remedy_without_config(folder: Path) -> str:
    if not folder.exists():
        return "Start it without --resume, or correct --output-dir."
    if _is_of_a_run(folder):
        return "It is empty: start a run there with --overwrite."
    return "Delete the folder yourself, or choose another --output-dir."


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        return flatten(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(
            f"Expected a run in {folder} to resume, got no {CONFIG_FILE} there. "
            + _remedy_without_config(folder)
        ) from None
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"Expected settings in {path}, got a file that cannot be read ({error}). "
            "Start again with --overwrite."
        ) from None


def _check_same_settings(folder: Path, config: dict[str, Any]) -> None:
    path, before, now = folder / CONFIG_FILE, _read_settings(folder), flatten(config)
    length = "training.num_steps"
    if not isinstance(before.get(length, 0), int):
        raise UsageError(
            f"Expected {length} to be an integer in {path}, got {before[length]!r}. "
            "Restore the file, or start again with --overwrite."
        )
    if length in before and now.get(length, 0) < before[length]:
        raise UsageError(
            f"Expected {length} >= {before[length]!r}, as the run in {folder} has it, "
            f"got {now.get(length)!r}. A run can only be made longer."
        )
    for key in sorted((before.keys() | now.keys()) - RESUMABLE_KEYS):
        if before.get(key) != now.get(key):
            raise UsageError(
                f"Expected {key} = {before.get(key)!r}, as the run in {folder} has "
                f"it, got {now.get(key)!r}. Resume with the same settings, or choose "
                "another --output-dir."
            )
