"""Orbax checkpoints of a training state, the newest two of them."""

from __future__ import annotations

from pathlib import Path

import jax
import orbax.checkpoint as ocp

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.training import TrainState

CHECKPOINT_FOLDER = "checkpoints"


def _manager(folder: Path) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(
        max_to_keep=2, enable_async_checkpointing=False
    )
    return ocp.CheckpointManager(
        (folder / CHECKPOINT_FOLDER).absolute(), options=options
    )


def save(folder: Path, state: TrainState) -> None:
    """Saves a state under its step.

    Args:
      folder: of the run.
      state: what to save.
    """
    with _manager(folder) as manager:
        if int(state.step) not in manager.all_steps():
            manager.save(int(state.step), args=ocp.args.StandardSave(state))


def has_checkpoint(folder: Path) -> bool:
    """Whether a run has a checkpoint.

    Args:
      folder: of the run; it need not exist.

    Returns:
      Whether there is one, intact or not.
    """
    path = folder / CHECKPOINT_FOLDER
    return path.is_dir() and any(p.name.isdigit() for p in path.iterdir())


def restore(folder: Path, like: TrainState) -> TrainState:
    """Loads the newest checkpoint.

    Args:
      folder: of the run.
      like: a state of the same shapes.

    Returns:
      The state that was saved.

    Raises:
      UsageError: if there is no checkpoint, or it is damaged.
    """
    if not has_checkpoint(folder):
        raise UsageError(
            f"Expected a checkpoint in {folder}, got none: the run ended before its "
            "first one. Start again with --overwrite."
        )
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    try:
        with _manager(folder) as manager:
            step = manager.latest_step()
            restored = manager.restore(step, args=ocp.args.StandardRestore(abstract))
    # Orbax and the storage below it raise whatever they meet in a damaged file.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UsageError(
            f"Expected an intact checkpoint in {folder / CHECKPOINT_FOLDER}, got one "
            f"that cannot be restored ({reason}). Delete its newest numbered folder "
            "to resume from the one before, or start again with --overwrite."
        ) from None
    return restored
