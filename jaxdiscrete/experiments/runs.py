"""One run from folder to results, and several of them side by side."""

from __future__ import annotations

import dataclasses
import statistics
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from jaxdiscrete.experiments import (
    checkpoints,
    console,
    figures,
    files,
    pictures,
)
from jaxdiscrete.experiments.data import load_dataset, shuffled_subset
from jaxdiscrete.experiments.diagnostics import TrainState, check_finite
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.event_files import EventFile
from jaxdiscrete.experiments.placement import ONE_DEVICE, Placement
from jaxdiscrete.experiments.semi_supervised import make_experiment
from jaxdiscrete.experiments.settings import Config, flatten
from jaxdiscrete.experiments.training import Experiment

Row = dict[str, Any]


def train(
    config: Config,
    folder: Path,
    screen: Console,
    *,
    resume: bool = False,
    overwrite: bool = False,
    placement: Placement = ONE_DEVICE,
) -> Row:
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
    dataset = load_dataset(config.data.name, config.data.binarization or None)
    experiment = make_experiment(config, dataset, placement)
    if placement.is_writer:
        files.open_folder(
            folder, dataclasses.asdict(config), resume=resume, overwrite=overwrite
        )
    state = placement.jit(experiment.init)()
    rows: list[Row] = []
    if resume:
        state = placement.replicate(checkpoints.restore(folder, state))
        rows = files.read_metrics(folder, int(state.step))
        screen.print(f"{folder.name}: resumed after step {int(state.step)}")
    state, rows = _run_blocks(experiment, state, rows, folder, screen)
    if not rows:
        raise UsageError(
            f"Expected metrics of the run in {folder / files.METRICS_FILE}, got none. "
            "Raise training.num_steps to go on from its checkpoint, or start again "
            "with --overwrite."
        )
    # From here on one process works alone, on its own copy.
    state = jax.tree.map(np.asarray, state)
    experiment = make_experiment(config, dataset)
    final = _final_metrics(experiment, state)
    summary = {
        "run": folder.name,
        "estimator": config.estimator.name,
        "dataset": dataset.title,
        "steps": int(state.step),
        **final,
        "steps_per_second": statistics.harmonic_mean(
            [r["steps_per_second"] for r in rows]
        ),
        "seconds": rows[-1]["seconds"],
    }
    if placement.is_writer:
        _draw(experiment, state, rows, folder)
        files.write_json(folder / files.SUMMARY_FILE, summary)
    return summary


def compare(
    configs: dict[str, Config],
    folder: Path,
    screen: Console,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> list[Row]:
    """Trains several estimators in turn, on one model, seed and schedule.

    Args:
      configs: by name; only their estimators may differ.
      folder: in which every run has a folder of its name.
      screen: where progress is shown.
      resume: keep and continue the runs that have a checkpoint. Default: no.
      overwrite: replace a comparison that is there. Default: no.

    Returns:
      The summaries, best test ELBO first, as in ``comparison.json``.

    Raises:
      UsageError: if other settings differ, or as :func:`train`.
      RunError: as :func:`train`.
    """
    check_comparable(configs)
    # What any of them cannot use is said before a folder is made and others train.
    for config in configs.values():
        data = config.data
        make_experiment(config, load_dataset(data.name, data.binarization or None))
    files.open_folder(
        folder,
        {name: dataclasses.asdict(config) for name, config in configs.items()},
        resume=resume,
        overwrite=overwrite,
    )
    summaries = [
        train_or_continue(config, folder / name, screen)
        for name, config in configs.items()
    ]
    summaries.sort(key=lambda summary: -summary["test_elbo"])
    last = max(summary["steps"] for summary in summaries)
    figures.save_curves(
        folder / "comparison.png",
        {s["run"]: files.read_metrics(folder / s["run"], last) for s in summaries},
        f"{summaries[0]['dataset']}: estimators from best to worst test ELBO",
    )
    files.write_json(folder / "comparison.json", summaries)
    return summaries


def train_or_continue(config: Config, folder: Path, screen: Console) -> Row:
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


def check_comparable(configs: dict[str, Config]) -> None:
    """Raises unless only the estimators of several configurations differ.

    Args:
      configs: by name.

    Raises:
      UsageError: naming the setting.
    """
    (first, reference), *others = configs.items()
    expected = flatten(reference)
    for name, config in others:
        got = flatten(config)
        # Schedules differ in their keys, too.
        for key in sorted(expected.keys() | got.keys()):
            if not key.startswith("estimator.") and got.get(key) != expected.get(key):
                raise UsageError(
                    f"Expected {key} = {expected.get(key)!r} in every compared "
                    f"configuration, as in {first}, got {got.get(key)!r} in {name}. "
                    "Only the estimators may differ."
                )


def _run_blocks(
    experiment: Experiment,
    state: TrainState,
    rows: list[Row],
    folder: Path,
    screen: Console,
) -> tuple[TrainState, list[Row]]:
    settings = experiment.config.training
    step = int(state.step)
    if step >= settings.num_steps:
        return state, rows
    spent = rows[-1]["seconds"] if rows else 0.0
    start = time.perf_counter()
    images, is_writer = experiment.images(), experiment.placement.is_writer
    with (
        EventFile(folder, step, is_writer) as events,
        console.training_progress(screen) as progress,
    ):
        task = progress.add_task(
            folder.name, total=settings.num_steps, completed=step, status="compiling"
        )
        block = experiment.compile_block(state, images)
        while step < settings.num_steps:
            first_step, block_start = step, time.perf_counter()
            state, checked, metrics = jax.block_until_ready(block(state, images))
            now = time.perf_counter()
            step = int(state.step)
            check_finite(first_step, checked, _remedy(folder))
            check_finite(step, metrics, _remedy(folder))
            row = {
                "step": step,
                "epoch": step / experiment.steps_per_epoch,
                "loss": float(np.mean(checked["loss"])),
                **{key: float(value) for key, value in metrics.items()},
                "steps_per_second": (step - first_step) / (now - block_start),
                "seconds": spent + now - start,
            }
            rows = [*rows, row]
            progress.update(task, completed=step, status=console.describe(row))
            events.write(row)
            # Before the checkpoint: a resumed run drops lines that are beyond it,
            # and could not invent lines that are missing.
            if is_writer:
                files.write_metrics(folder, rows)
            is_due = len(rows) % settings.blocks_per_checkpoint == 0
            if is_writer and (is_due or step >= settings.num_steps):
                checkpoints.save(folder, state)
    return state, rows


def _remedy(folder: Path) -> str:
    newest = checkpoints.newest(folder)
    kept = "There is no checkpoint yet" if newest is None else f"{newest} is intact"
    return (
        f"{kept}. Lower optimizer.learning_rate or optimizer.control_variate_factor "
        "and start again with --overwrite."
    )


def _final_metrics(experiment: Experiment, state: TrainState) -> dict[str, float]:
    settings = experiment.config.evaluation
    dataset = experiment.dataset
    parts = {
        "train": shuffled_subset(dataset.train, settings.num_examples),
        "valid": shuffled_subset(dataset.valid, settings.num_examples),
        "test": shuffled_subset(dataset.test, settings.num_test_examples),
    }
    final = jax.jit(experiment.final_metrics)(state, parts)
    check_finite(int(state.step), final, "Start again with a lower learning rate.")
    return {key: float(value) for key, value in final.items()}


def _draw(
    experiment: Experiment, state: TrainState, rows: list[Row], folder: Path
) -> None:
    shape = experiment.dataset.image_shape
    for name, picture in pictures.draw(experiment, state).items():
        figures.save_images(folder / f"{name}.png", *picture, shape)
    title = f"{experiment.dataset.title}, {experiment.config.estimator.name}"
    figures.save_curves(folder / "curves.png", {folder.name: rows}, title)
