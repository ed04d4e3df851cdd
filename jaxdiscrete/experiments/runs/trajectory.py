"""The gradient variance of several estimators along one trajectory.

Along trajectories of their own, estimators would be measured at different parameters.
Here one of them trains the model, and at every step each of the others estimates the
gradient of the same batch with noise and control variates of its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.output.records import (
    FollowedEstimator,
    SharedTrajectory,
    summarise,
)
from jaxdiscrete.experiments.runs.compare import check_comparable
from jaxdiscrete.experiments.runs.together import at_point
from jaxdiscrete.experiments.runs.train import prepare
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import loop, step
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.optimizer import apply_gradients, make_optimizer
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.state import (
    Moments,
    TrainState,
    check_finite,
    init_moments,
    update_moments,
)
from jaxdiscrete.experiments.training.task import Metrics, Task, at_config

METRICS = (
    "log_variance",
    "encoder_log_variance",
    "mean_log_variance",
    "log_scale_log_variance",
)


class Follower(NamedTuple):
    """An estimator that is measured, and does not train the model."""

    control_variate: Any
    opt_state: Any
    moments: Moments


class State(NamedTuple):
    """The driver's training state, and every follower's."""

    driver: TrainState
    followers: dict[str, Follower]

    @property
    def step(self) -> jax.Array:
        """Steps of the driver so far."""
        return self.driver.step


def measure(
    configs: dict[str, Config],
    driver: str,
    num_steps: int,
    num_seeds: int,
    screen: Console,
) -> SharedTrajectory:
    """Measures all estimators along the driver's trajectory.

    Args:
      configs: by name; only their estimators differ.
      driver: name of the configuration that trains the model.
      num_steps: its length, rounded up to whole blocks.
      num_seeds: trajectories, from the configured seed on.
      screen: where progress is shown.

    Returns:
      Log variances at the end by run, with standard errors over seeds, at equal
      steps and times the calls of f; their means by step.

    Raises:
      UsageError: if the data cannot be used.
      RunError: if a value is not finite.
    """
    lead = prepare(configs[driver], screen)
    tasks = {name: at_config(lead, config) for name, config in configs.items()}
    first_seed = lead.config.seed
    curves = _follow(
        tasks, driver, num_steps, range(first_seed, first_seed + num_seeds), screen
    )
    steps = tuple(int(row["step"]) for row in curves[0])
    runs, means = {}, {}
    for name, config in configs.items():
        calls = config.calls_of_f
        metrics = {
            metric: summarise([c[-1][f"{name}.{metric}"] for c in curves])
            for metric in METRICS
            if f"{name}.{metric}" in curves[0][-1]
        }
        values = [v + math.log(calls) for v in metrics["log_variance"].values]
        metrics["log_variance_times_calls"] = summarise(values)
        runs[name] = FollowedEstimator(calls, metrics)
        each = [[row[f"{name}.log_variance"] for row in c] for c in curves]
        means[name] = tuple(np.mean(each, axis=0).tolist())
    return SharedTrajectory(
        driver=driver,
        steps=steps[-1],
        seeds=tuple(range(first_seed, first_seed + num_seeds)),
        runs=runs,
        curve_steps=steps,
        log_variance=means,
    )


def compare(
    configs: dict[str, Config],
    driver: str,
    num_seeds: int,
    folder: Path,
    screen: Console,
    *,
    overwrite: bool = False,
) -> SharedTrajectory:
    """As :func:`measure` over the configured steps, with its results in a folder.

    Args:
      configs: by name; only their estimators may differ.
      driver: name of the configuration that trains the model.
      num_seeds: trajectories.
      folder: where ``trajectory.json`` is written.
      screen: where progress is shown.
      overwrite: replace a comparison that is there. Default: no.

    Returns:
      The measurements.

    Raises:
      UsageError: if other settings differ, or the folder exists.
      RunError: if a value is not finite.
    """
    check_comparable(configs)
    # What any of them cannot use is said before a folder is made.
    for config in configs.values():
        make_task(config)
    settings = {name: dataclasses.asdict(c) for name, c in configs.items()}
    steps = configs[driver].num_steps
    with files.open_folder(folder, settings, resume=False, overwrite=overwrite):
        measured = measure(configs, driver, steps, num_seeds, screen)
        codec.write(folder / "trajectory.json", measured)
    return measured


def _follow(
    tasks: dict[str, Task],
    driver: str,
    num_steps: int,
    seeds: Iterable[int],
    screen: Console,
) -> list[list[dict[str, float]]]:
    """The rows of every seed, by one program that is compiled once."""
    lead = tasks[driver]
    data, num_block_steps = lead.data(), lead.config.training.steps_per_block

    def seeded(seed: jax.Array) -> dict[str, Task]:
        return {
            name: at_config(task, at_point(task.config, seed, {}))
            for name, task in tasks.items()
        }

    @jax.jit
    def init(seed: jax.Array) -> State:
        tasks = seeded(seed)
        state = step.init(tasks[driver])
        init_key, model = stream(seed, Stream.INIT), state.params["model"]
        followers = {}
        for i, (name, task) in enumerate(tasks.items()):
            if name != driver:
                key = jax.random.fold_in(init_key, i)
                cv = task.init_control_variates(model, key)
                optimizer = make_optimizer(task.config)
                opt_state = optimizer.init({"control_variate": cv})
                followers[name] = Follower(cv, opt_state, init_moments(model))
        return State(state, followers)

    def one_step(
        tasks: dict[str, Task], state: State, chosen: Any
    ) -> tuple[State, Metrics]:
        lead = tasks[driver]
        count, model = state.step, state.driver.params["model"]
        batch = step.step_batch(lead, count, chosen, data)
        step_key = jax.random.fold_in(stream(lead.config.seed, Stream.STEP), count)
        followers = {}
        for i, (name, follower) in enumerate(state.followers.items()):
            # The model is the driver's to move.
            cv = {"control_variate": follower.control_variate}
            key, loss = jax.random.fold_in(step_key, i), tasks[name].loss
            grads = jax.grad(loss)({"model": model} | cv, key, batch, count)
            moments = update_moments(follower.moments, grads.pop("model"))
            optimizer = make_optimizer(tasks[name].config)
            cv, opt_state = apply_gradients(optimizer, grads, follower.opt_state, cv)
            followers[name] = Follower(cv["control_variate"], opt_state, moments)
        new, checked = step.step(lead, state.driver, chosen, data)
        return State(new, followers), checked

    def block(state: State, seed: jax.Array) -> tuple[State, Metrics, Metrics]:
        tasks = seeded(seed)
        chosen = tasks[driver].batches(state.step, num_block_steps, data)
        state, checked = jax.lax.scan(
            lambda state, chosen: one_step(tasks, state, chosen), state, chosen
        )
        model = {"model": state.driver.params["model"]}
        states = {driver: state.driver} | {
            name: TrainState(
                state.step,
                model | {"control_variate": f.control_variate},
                f.opt_state,
                f.moments,
            )
            for name, f in state.followers.items()
        }
        metrics = {
            f"{name}.{metric}": value
            for name, its_state in states.items()
            for metric, value in tasks[name].log_variances(its_state).items()
        }
        return state, checked, metrics

    compiled = jax.jit(block, donate_argnums=0)

    def rows_of(seed: int) -> list[dict[str, float]]:
        rows: list[dict[str, float]] = []

        def on_block(state: State, block: loop.Block) -> str:
            del state
            remedy = "Lower optimizer.learning_rate."
            check_finite(block.first_step, block.checked, remedy)
            check_finite(block.step, block.metrics, remedy)
            metrics = {k: float(v) for k, v in block.metrics.items()}
            rows.append({"step": block.step, **metrics})
            return ""

        title, traced = f"variance along {driver}, seed {seed}", jnp.asarray(seed)
        loop.run(
            lambda state: lambda state: compiled(state, traced),
            init(traced),
            num_steps,
            screen,
            title,
            on_block,
        )
        return rows

    return [rows_of(seed) for seed in seeds]
