"""One run from folder to results, and several of them side by side."""

from __future__ import annotations

import dataclasses
import statistics
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from jaxdiscrete.experiments import checkpoints, console, figures, files
from jaxdiscrete.experiments.config import flatten
from jaxdiscrete.experiments.data import load_digits
from jaxdiscrete.experiments.diagnostics import TrainState, check_finite
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings import Config
from jaxdiscrete.experiments.training import Experiment


def train(
    config: Config,
    folder: Path,
    screen: Console,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Trains one configuration and writes all its results.

    Args:
      config: a checked configuration.
      folder: of the run; its name is the run's name.
      screen: where progress is shown.
      resume: continue from the newest checkpoint. Default: no.
      overwrite: replace a run that is there. Default: no.

    Returns:
      The summary, as in ``summary.json``.

    Raises:
      UsageError: if the folder, the checkpoint or the data cannot be used.
      RunError: if a value is not finite.
    """
    experiment = Experiment(config, load_digits(config.data))
    files.open_folder(
        folder, dataclasses.asdict(config), resume=resume, overwrite=overwrite
    )
    state = jax.jit(experiment.init)()
    rows: list[dict[str, Any]] = []
    if resume:
        state = checkpoints.restore(folder, state)
        rows = files.read_metrics(folder, int(state.step))
        epoch = int(state.step) // experiment.steps_per_epoch
        screen.print(f"{folder.name}: resumed after epoch {epoch}")
    state, rows = _run_blocks(experiment, state, rows, folder, screen)
    final = jax.jit(experiment.final_metrics)(state, *experiment.digits)
    summary = {
        "run": folder.name,
        "estimator": config.estimator.name,
        "steps": int(state.step),
        **{key: float(value) for key, value in final.items()},
        "steps_per_second": statistics.harmonic_mean(
            [r["steps_per_second"] for r in rows]
        ),
        "seconds": rows[-1]["seconds"],
    }
    check_finite(int(state.step), final)
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
) -> list[dict[str, Any]]:
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
    _check_comparable(configs)
    files.open_folder(
        folder,
        {name: dataclasses.asdict(config) for name, config in configs.items()},
        resume=resume,
        overwrite=overwrite,
    )
    summaries = []
    for name, config in configs.items():
        run = folder / name
        can_resume = checkpoints.has_checkpoint(run)
        # A run that was stopped before its first checkpoint starts again.
        summaries.append(
            train(config, run, screen, resume=can_resume, overwrite=not can_resume)
        )
    summaries.sort(key=lambda summary: -summary["test_elbo"])
    last = max(summary["steps"] for summary in summaries)
    figures.save_curves(
        folder / "comparison.png",
        {s["run"]: files.read_metrics(folder / s["run"], last) for s in summaries},
        "Digits: estimators from best to worst test ELBO",
    )
    files.write_json(folder / "comparison.json", summaries)
    return summaries


def _run_blocks(
    experiment: Experiment,
    state: TrainState,
    rows: list[dict[str, Any]],
    folder: Path,
    screen: Console,
) -> tuple[TrainState, list[dict[str, Any]]]:
    settings = experiment.config.training
    epoch = int(state.step) // experiment.steps_per_epoch
    if epoch >= settings.num_epochs:
        return state, rows
    spent = rows[-1]["seconds"] if rows else 0.0
    start = time.perf_counter()
    train, test = (jnp.asarray(x) for x in experiment.digits)
    with console.training_progress(screen) as progress:
        task = progress.add_task(
            folder.name,
            total=settings.num_epochs,
            completed=epoch,
            status="compiling",
        )
        block = experiment.compile_block(state)
        while epoch < settings.num_epochs:
            first_step, block_start = int(state.step), time.perf_counter()
            state, checked, metrics = jax.block_until_ready(block(state, train, test))
            now = time.perf_counter()
            check_finite(first_step, checked)
            check_finite(int(state.step), metrics)
            epoch += settings.epochs_per_block
            steps = int(state.step) - first_step
            row = {
                "epoch": epoch,
                "step": int(state.step),
                "loss": float(np.mean(checked["loss"])),
                **{key: float(value) for key, value in metrics.items()},
                "steps_per_second": steps / (now - block_start),
                "seconds": spent + now - start,
            }
            rows = [*rows, row]
            progress.update(task, completed=epoch, status=console.describe(row))
            # Before the checkpoint: a resumed run drops lines that are beyond it,
            # and could not invent lines that are missing.
            files.write_metrics(folder, rows)
            is_due = len(rows) % settings.blocks_per_checkpoint == 0
            if is_due or epoch >= settings.num_epochs:
                checkpoints.save(folder, state)
    return state, rows


def _draw(
    experiment: Experiment, state: TrainState, rows: list[dict[str, Any]], folder: Path
) -> None:
    x, decoded, samples = jax.jit(experiment.images)(state)
    figures.save_images(
        folder / "samples.png",
        np.asarray(samples),
        [],
        "Pixel probabilities of samples from the prior",
    )
    figures.save_images(
        folder / "reconstructions.png",
        np.stack([x, decoded]),
        ["test digit", "decoded"],
        "Test digits, and pixel probabilities at a posterior sample",
    )
    name = experiment.config.estimator.name
    figures.save_curves(folder / "curves.png", {folder.name: rows}, f"Digits, {name}")


def _check_comparable(configs: dict[str, Config]) -> None:
    (first, reference), *others = configs.items()
    expected = flatten(reference)
    for name, config in others:
        for key, value in flatten(config).items():
            if not key.startswith("estimator.") and value != expected[key]:
                raise UsageError(
                    f"Expected {key} = {expected[key]!r} in every compared "
                    f"configuration, as in {first}, got {value!r} in {name}. Only "
                    "the estimators may differ."
                )
