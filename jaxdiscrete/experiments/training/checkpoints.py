"""Orbax checkpoints of a training state, the newest two, with checksums.

The checksums notice damage before Orbax reads a file: damaged values could pass for
numbers, and a damaged file ends in tracebacks of its reading threads.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.folder import write_json
from jaxdiscrete.experiments.training.state import TrainState

CHECKPOINT_FOLDER = "checkpoints"
CHECKSUM_FILE = "checkpoints.json"


def save(folder: Path, state: TrainState) -> None:
    """Saves a state under its step.

    Args:
      folder: of the run.
      state: what to save.
    """
    step = int(state.step)
    # A copy on the host: it must not matter to a checkpoint how many devices there are.
    state = jax.tree.map(np.asarray, state)
    (folder / CHECKPOINT_FOLDER).mkdir(exist_ok=True)
    with _manager(folder) as manager:
        # There is one already if the process ended before its checksum was written.
        if step in manager.all_steps():
            manager.delete(step)
        manager.save(step, args=ocp.args.StandardSave(state))
        steps = manager.all_steps()
    checksums = {str(s): _checksum(_step_folder(folder, s)) for s in steps}
    write_json(folder / CHECKSUM_FILE, checksums)


def has_checkpoint(folder: Path) -> bool:
    """Whether a run has a checkpoint.

    Args:
      folder: of the run; it need not exist.

    Returns:
      Whether there is one, intact or not.
    """
    return bool(_complete_steps(folder))


def newest(folder: Path) -> Path | None:
    """The folder of the newest checkpoint.

    Args:
      folder: of the run.

    Returns:
      Its path, or None if there is no checkpoint.
    """
    steps = _complete_steps(folder)
    return _step_folder(folder, max(steps)) if steps else None


def restore(folder: Path, like: TrainState) -> TrainState:
    """Loads the newest checkpoint.

    Args:
      folder: of the run.
      like: a state of the same shapes and dtypes, or these alone.

    Returns:
      The state that was saved.

    Raises:
      UsageError: if there is no checkpoint, or it is damaged.
    """
    steps = _complete_steps(folder)
    if not steps:
        raise UsageError(
            f"Expected a checkpoint in {folder}, got none: the run ended before its "
            "first one. Start again with --overwrite."
        )
    step = max(steps)
    path = _step_folder(folder, step)
    if _checksum(path) != steps[step]:
        raise _damaged(path, "its checksum differs")
    abstract = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    try:
        with _manager(folder) as manager:
            args = ocp.args.StandardRestore(abstract)
            restored: TrainState = manager.restore(step, args=args)
    # Orbax and the storage below it raise whatever they meet, for instance in files
    # of another version.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise _damaged(path, reason) from None
    return restored


def _damaged(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"Expected an intact checkpoint in {path}, got one that cannot be restored "
        f"({reason}). Delete that folder to resume from the checkpoint before it, if "
        "there is one, or start again with --overwrite."
    )


def _manager(folder: Path) -> ocp.CheckpointManager:
    # Every process acts for itself: one writes, each reads.
    process = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=process,
        active_processes={process},
        barrier_sync_key_prefix=f"process_{process}",
    )
    options = ocp.CheckpointManagerOptions(
        max_to_keep=2,
        enable_async_checkpointing=False,
        multiprocessing_options=alone,
        create=False,
    )
    return ocp.CheckpointManager(
        (folder / CHECKPOINT_FOLDER).absolute(), options=options
    )


def _step_folder(folder: Path, step: int) -> Path:
    return folder / CHECKPOINT_FOLDER / str(step)


def _complete_steps(folder: Path) -> dict[int, str]:
    """The checksums of the checkpoints that are there."""
    path = folder / CHECKSUM_FILE
    try:
        checksums = json.loads(path.read_text(encoding="utf-8"))
        steps = {int(step): str(value) for step, value in checksums.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"Expected checksums in {path}, got a file that cannot be read ({error}). "
            "Start again with --overwrite."
        ) from None
    return {s: value for s, value in steps.items() if _step_folder(folder, s).is_dir()}


def _checksum(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()
