"""Runs of one configuration in one compiled program.

Runs differ in their seed and in numbers of the optimiser and the estimator, which are
traced: ``jax.vmap`` maps the training step over them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from jaxdiscrete.experiments.output import codec, side_by_side
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.output.records import RunSummary
from jaxdiscrete.experiments.runs.train import prepare
from jaxdiscrete.experiments.settings.fields import Schedule, constant
from jaxdiscrete.experiments.training import loop, step
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import TrainState, check_finite
from jaxdiscrete.experiments.training.task import Task, at_config

Row = dict[str, Any]


class Point(NamedTuple):
    """One run among several."""

    seed: int
    values: dict[str, float]

    @property
    def name(self) -> str:
        """The name of the run, made of what differs."""
        parts = [f"seed={self.seed}"]
        parts += [f"{key}={value:g}" for key, value in self.values.items()]
        return ",".join(parts)


def at_point(config: Config, seed: Any, values: Mapping[str, Any]) -> Config:
    """The configuration of a run.

    Args:
      config: what the runs share.
      seed: of the run.
      values: its numbers, by their dotted names.

    Returns:
      A copy.
    """
    config = dataclasses.replace(config, seed=seed)
    for key, value in values.items():
        table, name = key.split(".")
        part = getattr(config, table)
        if isinstance(getattr(part, name), Schedule):
            value = constant(value)
        changes: Any = {table: dataclasses.replace(part, **{name: value})}
        config = dataclasses.replace(config, **changes)
    return config


def train_together(
    task: Task, points: list[Point], screen: Console
) -> tuple[TrainState, list[list[Row]]]:
    """Trains several runs at once.

    Args:
      task: of the configuration that they share.
      points: what differs, with the same keys in all.
      screen: where progress is shown.

    Returns:
      Their states at the end, with the runs first but for the step; and for every run
      the rows of its blocks. ``seconds`` are those of all runs.

    Raises:
      RunError: if a value is not finite.
    """
    seeds = jnp.asarray([p.seed for p in points], jnp.int32)
    values = {
        key: jnp.asarray([p.values[key] for p in points], jnp.float32)
        for key in points[0].values
    }

    def each(seed: jax.Array, values: dict[str, jax.Array]) -> Task:
        return at_config(task, at_point(task.config, seed, values))

    def block(state: Any, seed: jax.Array, values: Any, data: Any) -> Any:
        return step.block(each(seed, values), state, data)

    # The step is the same in all runs; unmapped, what depends on it alone stays so.
    state = jax.jit(jax.vmap(lambda *at: step.init(each(*at))))(seeds, values)
    axes = jax.tree.map(lambda _: 0, state)._replace(step=None)
    state = state._replace(step=state.step[0])
    mapped = jax.vmap(block, (axes, 0, 0, None), (axes, 0, 0))
    compiled, data = jax.jit(mapped, donate_argnums=0), task.data()
    rows: list[list[Row]] = [[] for _ in points]

    def on_block(state: TrainState, block: loop.Block) -> str:
        del state
        for i, point in enumerate(points):
            remedy = f"Leave {point.name} out, or lower its learning rate."
            metrics = {k: v[i] for k, v in block.metrics.items()}
            checked = {k: v[i] for k, v in block.checked.items()}
            check_finite(block.first_step, checked | metrics, remedy)
            spent = rows[i][-1]["seconds"] if rows[i] else 0.0
            row = {"step": block.step, "loss": float(checked["loss"].mean())}
            row |= {k: float(v) for k, v in metrics.items()}
            rows[i].append(row | {"seconds": spent + block.elapsed})
        return f"{rows[0][-1]['seconds']:.0f} s"

    state = loop.run(
        lambda state: lambda state: compiled(state, seeds, values, data),
        state,
        task.config.training.num_steps,
        screen,
        f"{len(points)} runs",
        on_block,
    )
    return state, rows


def train_seeds(
    config: Config, folders: Mapping[int, Path], screen: Console
) -> dict[int, RunSummary]:
    """Trains seeds of a configuration at once, and writes a folder of each.

    The folders have what a run is known by later, and no checkpoints: a call that is
    cut leaves nothing.

    Args:
      config: a checked configuration.
      folders: by seed.
      screen: where progress is shown.

    Returns:
      The summaries by seed. ``seconds`` is a run's share of the time of all.

    Raises:
      UsageError: if the data or a folder cannot be used.
      RunError: if a value is not finite.
    """
    if not folders:
        return {}
    task = prepare(config, screen)
    points = [Point(seed, {}) for seed in folders]
    state, rows = train_together(task, points, screen)
    state = jax.tree.map(np.asarray, state)
    summaries = {}
    for i, (seed, folder) in enumerate(folders.items()):
        seeded = at_config(task, dataclasses.replace(config, seed=seed))
        mine = jax.tree.map(lambda x, i=i: x[i], state._replace(step=None))
        mine = mine._replace(step=state.step)
        settings = dataclasses.asdict(seeded.config)
        with files.open_folder(folder, settings, resume=False, overwrite=True):
            files.write_metrics(folder, _with_speed(rows[i]))
            summaries[seed] = RunSummary(
                run=folder.name,
                estimator=config.estimator.name,
                dataset=task.title,
                steps=int(state.step),
                seconds=rows[i][-1]["seconds"] / len(folders),
                metrics=seeded.final_metrics(mine, rows[i]),
            )
            for name, picture in seeded.pictures(mine).items():
                side_by_side.save(folder / f"{name}.png", picture, seeded.image_shape)
            files.write_texts(folder, seeded.texts(mine))
            codec.write(folder / files.SUMMARY_FILE, summaries[seed])
    return summaries


def _with_speed(rows: list[Row]) -> list[Row]:
    """The rows as a run alone writes them, with the steps per second."""
    told, step, seconds = [], 0, 0.0
    for row in rows:
        speed = (row["step"] - step) / (row["seconds"] - seconds)
        told.append(row | {"steps_per_second": speed})
        step, seconds = row["step"], row["seconds"]
    return told
