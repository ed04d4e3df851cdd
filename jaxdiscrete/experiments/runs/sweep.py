"""A grid of seeds and settings, as many at once as memory allows."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import jax
from rich.console import Console

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.output.records import SweepRun
from jaxdiscrete.experiments.runs.together import Point, at_point, train_together
from jaxdiscrete.experiments.runs.train import prepare
from jaxdiscrete.experiments.settings.fields import Schedule
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.task import Task

#: Bytes that the states of runs may take at once; more runs go one after the other.
MEMORY_LIMIT = 2 * 1024**3


def parse_grid(config: Config, texts: tuple[str, ...]) -> dict[str, list[float]]:
    """Reads ``optimizer.learning_rate=1e-4,3e-4``.

    Args:
      config: whose keys may vary.
      texts: one per key.

    Returns:
      Values by key.

    Raises:
      UsageError: if a text is not of that form, or the key cannot vary in a sweep.
    """
    grid: dict[str, list[float]] = {}
    for text in texts:
        key, _, listed = text.partition("=")
        try:
            values = [float(v) for v in listed.split(",")]
        except ValueError:
            raise UsageError(
                f"Expected --grid KEY=NUMBER,NUMBER, got {text!r}. For instance: "
                "--grid optimizer.learning_rate=1e-4,3e-4"
            ) from None
        allowed = _numbers(config)
        if key not in allowed:
            raise UsageError(
                f"Expected --grid with a key among {', '.join(allowed)}, got {key!r}: "
                "what changes shapes or data needs runs of its own."
            )
        if key in grid:
            raise UsageError(
                f"Expected --grid with {key} once, got it twice. List all its numbers "
                "after one equals sign."
            )
        # Their first digits name the folders.
        if len({f"{value:g}" for value in values}) < len(values):
            raise UsageError(
                f"Expected --grid {key} with different values, got {listed}: six "
                "digits name a run. Remove one."
            )
        grid[key] = values
    return grid


def points(config: Config, num_seeds: int, grid: dict[str, list[float]]) -> list[Point]:
    """All combinations.

    Args:
      config: the first seed is its own.
      num_seeds: seeds.
      grid: values by key.

    Returns:
      The runs.
    """
    seeds = range(config.seed, config.seed + num_seeds)
    return [
        Point(seed, dict(zip(grid, values, strict=True)))
        for values in itertools.product(*grid.values())
        for seed in seeds
    ]


def run(
    config: Config,
    runs: list[Point],
    folder: Path,
    screen: Console,
    *,
    overwrite: bool = False,
    memory_limit: int = MEMORY_LIMIT,
) -> list[SweepRun]:
    """Trains all runs, together where memory allows.

    Args:
      config: what the runs share.
      runs: what differs.
      folder: of the sweep; a folder of metrics per run is made in it.
      screen: where progress is shown.
      overwrite: replace a sweep that is there. Default: no.
      memory_limit: bytes of the states that are trained together.

    Returns:
      The last metrics of every run, as in ``sweep.json``.

    Raises:
      UsageError: if the folder or a value cannot be used.
      RunError: if a value is not finite.
    """
    for point in runs:
        check(at_point(config, point.seed, point.values))
    task = prepare(config, screen)
    shapes = jax.eval_shape(lambda: step.init(task))
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
    together = max(1, min(len(runs), memory_limit // size))
    settings = {"config": dataclasses.asdict(config), "runs": [p.name for p in runs]}
    results = []
    with files.open_folder(folder, settings, resume=False, overwrite=overwrite):
        for start in range(0, len(runs), together):
            group = runs[start : start + together]
            results += _train_group(task, group, folder, screen)
        codec.write(folder / "sweep.json", results)
    return results


def _train_group(
    task: Task, group: list[Point], folder: Path, screen: Console
) -> list[SweepRun]:
    _, rows = train_together(task, group, screen)
    results = []
    for point, mine in zip(group, rows, strict=True):
        run_folder = folder / point.name
        run_folder.mkdir()
        files.write_metrics(run_folder, mine)
        last = dict(mine[-1])
        results.append(
            SweepRun(
                run=point.name,
                seed=point.seed,
                values=point.values,
                steps=last.pop("step"),
                seconds=last.pop("seconds"),
                metrics=last,
            )
        )
    return results


def _numbers(config: Config) -> list[str]:
    """Keys whose values may be traced."""
    keys = ["optimizer.learning_rate", "optimizer.control_variate_factor"]
    for field in dataclasses.fields(config.estimator):
        value = getattr(config.estimator, field.name)
        if isinstance(value, float | Schedule):
            keys.append(f"estimator.{field.name}")
    return keys
