"""One run from folder to results."""

from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import codec, figures, lock, side_by_side
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.output.events import EventFile
from jaxdiscrete.experiments.output.progress import describe
from jaxdiscrete.experiments.output.records import RunSummary
from jaxdiscrete.experiments.runs import pretrained
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import checkpoints, loop, step
from jaxdiscrete.experiments.training.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, check_finite
from jaxdiscrete.experiments.training.task import Task, on_one_device, with_start

Row = dict[str, Any]


def train(
    config: Config,
    folder: Path,
    screen: Console,
    *,
    resume: bool = False,
    overwrite: bool = False,
    placement: Placement = ONE_DEVICE,
) -> RunSummary:
    """Trains one configuration and writes all its results.

    Args:
      config: a checked configuration.
      folder: of the run; its name is the run's name. Of several processes the first
        writes, and with ``resume`` all read.
      screen: where progress is shown.
      resume: continue from the newest checkpoint. Default: no.
      overwrite: replace a run that is there. Default: no.
      placement: on which devices. Default: one.

    Returns:
      The summary, as in ``summary.json``.

    Raises:
      UsageError: if the folder, the checkpoint or the data cannot be used.
      RunError: if a value is not finite.
    """
    task = prepare(config, screen, placement)
    if not placement.is_writer:
        return _train(task, folder, screen, resume=resume)
    settings = dataclasses.asdict(config)
    with files.open_folder(folder, settings, resume=resume, overwrite=overwrite):
        return _train(task, folder, screen, resume=resume)


def _train(task: Task, folder: Path, screen: Console, *, resume: bool) -> RunSummary:
    """As :func:`train`, in a folder that is held."""
    config, placement = task.config, task.placement
    rows: list[Row] = []
    if resume:
        like = jax.eval_shape(lambda: step.init(task))
        state = placement.replicate(checkpoints.restore(folder, like))
        block = config.training.steps_per_block
        rows = files.read_metrics(folder, int(state.step), block)
        screen.print(f"{folder.name}: resumed after step {int(state.step)}")
    else:
        state = placement.jit(lambda: step.init(task))()
    state = _train_blocks(task, state, rows, folder, screen)
    if not rows:
        raise UsageError(
            f"Expected metrics of the run in {folder / files.METRICS_FILE}, got none. "
            "Raise training.num_steps to go on from its checkpoint, or start again "
            "with --overwrite."
        )
    # From here on one process works alone, on its own copy.
    state = jax.tree.map(np.asarray, state)
    task = on_one_device(task)
    speed = statistics.harmonic_mean([row["steps_per_second"] for row in rows])
    summary = RunSummary(
        run=folder.name,
        estimator=config.estimator.name,
        dataset=task.title,
        steps=int(state.step),
        seconds=rows[-1]["seconds"],
        metrics=task.final_metrics(state, rows) | {"steps_per_second": speed},
    )
    if placement.is_writer:
        for name, picture in task.pictures(state).items():
            path = folder / f"{name}.png"
            side_by_side.save(path, picture, task.image_shape)
        files.write_texts(folder, task.texts(state))
        title = f"{task.title}, {config.estimator.name}"
        figures.save_curves(folder / "curves.png", {folder.name: rows}, title)
        codec.write(folder / files.SUMMARY_FILE, summary)
    return summary


def prepare(config: Config, screen: Console, placement: Placement = ONE_DEVICE) -> Task:
    """The task of a configuration, with the model that it begins with.

    Args:
      config: a checked configuration.
      screen: where progress is shown.
      placement: on which devices. Default: one.

    Returns:
      The task.

    Raises:
      UsageError, RunError: as :func:`train`.
    """
    task = make_task(config, placement)
    start = config.model.start(config)
    if start is None:
        return task
    model, _ = pretrained.find_or_train(start, screen, train_or_continue)
    return with_start(task, model)


def train_or_continue(config: Config, folder: Path, screen: Console) -> RunSummary:
    """Trains, or goes on with what a folder that only we write to holds.

    Args:
      config: a checked configuration.
      folder: of the run.
      screen: where progress is shown.

    Returns:
      The summary.

    Raises:
      UsageError, RunError: as :func:`train`.
    """
    can_resume = checkpoints.has_checkpoint(folder)
    # A run that was stopped before its first checkpoint starts again.
    return train(config, folder, screen, resume=can_resume, overwrite=not can_resume)


def _train_blocks(
    task: Task, state: TrainState, rows: list[Row], folder: Path, screen: Console
) -> TrainState:
    """Trains to the end; rows are added to, and written with every block."""
    settings = task.config.training
    if int(state.step) >= settings.num_steps:
        return state
    data, is_writer = task.data(), task.placement.is_writer
    with EventFile(folder, int(state.step), is_writer) as events:

        def on_block(state: TrainState, block: loop.Block) -> str:
            check_finite(block.first_step, block.checked, _remedy(folder))
            check_finite(block.step, block.metrics, _remedy(folder))
            spent = rows[-1]["seconds"] if rows else 0.0
            row = {
                "step": block.step,
                "epoch": block.step / task.steps_per_epoch,
                "loss": float(np.mean(block.checked["loss"])),
                **{key: float(value) for key, value in block.metrics.items()},
                "steps_per_second": (block.step - block.first_step) / block.seconds,
                "seconds": spent + block.elapsed,
            }
            rows.append(row)
            events.write(row)
            # Before the checkpoint: a resumed run drops lines that are beyond it,
            # and could not invent lines that are missing.
            if is_writer:
                lock.check_held(folder)
                files.write_metrics(folder, rows)
            is_due = len(rows) % settings.blocks_per_checkpoint == 0
            if is_writer and (is_due or block.step >= settings.num_steps):
                checkpoints.save(folder, state)
            return describe(row)

        def compile_block(state: TrainState) -> Any:
            block = step.compile_block(task, state, data)
            return lambda state: block(state, data)

        return loop.run(
            compile_block, state, settings.num_steps, screen, folder.name, on_block
        )


def _remedy(folder: Path) -> str:
    newest = checkpoints.newest(folder)
    kept = "There is no checkpoint yet" if newest is None else f"{newest} is intact"
    return (
        f"{kept}. Lower optimizer.learning_rate or optimizer.control_variate_factor "
        "and start again with --overwrite."
    )
