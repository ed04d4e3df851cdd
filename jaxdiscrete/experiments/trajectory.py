"""The gradient variance of several estimators along one trajectory.

Along trajectories of their own, estimators would be measured at different parameters.
Here one of them trains the model, and at every step each of the others estimates the
gradient of the same batch with noise and control variates of its own.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from rich.console import Console

from jaxdiscrete.experiments import console, files
from jaxdiscrete.experiments.claims import summarise
from jaxdiscrete.experiments.data import Dataset, load_dataset
from jaxdiscrete.experiments.diagnostics import (
    Moments,
    check_finite,
    init_moments,
    log_variance,
    update_moments,
)
from jaxdiscrete.experiments.runs import check_comparable
from jaxdiscrete.experiments.semi_supervised import make_experiment
from jaxdiscrete.experiments.settings import Config
from jaxdiscrete.experiments.training import Images

METRICS = ("log_variance", "encoder_log_variance")


class Follower(NamedTuple):
    """An estimator that is measured, and does not train the model."""

    control_variate: Any
    opt_state: Any
    moments: Moments


class State(NamedTuple):
    """The driver's training state, and every follower's."""

    driver: Any
    followers: dict[str, Follower]


def measure(
    configs: dict[str, Config],
    driver: str,
    num_steps: int,
    num_seeds: int,
    dataset: Dataset,
    screen: Console,
) -> dict[str, Any]:
    """Measures all estimators along the driver's trajectory.

    Args:
      configs: by name; only their estimators differ.
      driver: name of the configuration that trains the model.
      num_steps: its length, rounded up to whole blocks.
      num_seeds: trajectories, from the configured seed on.
      dataset: the data.
      screen: where progress is shown.

    Returns:
      ``runs``: log variances at the end by run, with standard errors over seeds, at
      equal steps and times the calls of f; ``curve``: their means by step.

    Raises:
      RunError: if a value is not finite.
    """
    curves = []
    for i in range(num_seeds):
        seeded = {
            name: dataclasses.replace(config, seed=config.seed + i)
            for name, config in configs.items()
        }
        curves.append(_follow(seeded, driver, num_steps, dataset, screen))
    steps = [row["step"] for row in curves[0]]
    runs: dict[str, Any] = {}
    curve: dict[str, Any] = {"step": steps}
    for name, config in configs.items():
        experiment = make_experiment(config, dataset)
        calls = experiment.entry.calls_of_f(config.estimator)
        row: dict[str, Any] = {
            metric: summarise([c[-1][f"{name}.{metric}"] for c in curves])
            for metric in METRICS
        }
        values = [v + math.log(calls) for v in row["log_variance"]["values"]]
        row |= {"calls_of_f": calls, "log_variance_times_calls": summarise(values)}
        runs[name] = row
        curve[name] = np.mean(
            [[r[f"{name}.log_variance"] for r in c] for c in curves], axis=0
        ).tolist()
    return {
        "driver": driver,
        "steps": steps[-1],
        "seeds": [configs[driver].seed + i for i in range(num_seeds)],
        "runs": runs,
        "curve": curve,
    }


def compare(
    configs: dict[str, Config],
    driver: str,
    num_seeds: int,
    folder: Path,
    screen: Console,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
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
    config = configs[driver]
    dataset = load_dataset(config.data.name, config.data.binarization or None)
    files.open_folder(
        folder,
        {name: dataclasses.asdict(c) for name, c in configs.items()},
        resume=False,
        overwrite=overwrite,
    )
    steps = config.training.num_steps
    measured = measure(configs, driver, steps, num_seeds, dataset, screen)
    files.write_json(folder / "trajectory.json", measured)
    return measured


def _follow(
    configs: dict[str, Config],
    driver: str,
    num_steps: int,
    dataset: Dataset,
    screen: Console,
) -> list[dict[str, float]]:
    experiments = {n: make_experiment(c, dataset) for n, c in configs.items()}
    lead = experiments[driver]

    def init() -> State:
        state = lead.init()
        followers = {}
        for i, (name, experiment) in enumerate(experiments.items()):
            if name != driver:
                key = jax.random.fold_in(lead.keys.init, i)
                model = state.params["model"]
                cv = experiment.init_control_variates(model, key)
                opt_state = experiment.optimizer.init({"control_variate": cv})
                followers[name] = Follower(cv, opt_state, init_moments(model))
        return State(state, followers)

    def step(state: State, rows: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        count, model = state.driver.step, state.driver.params["model"]
        x = lead.pixels(jax.random.fold_in(lead.keys.pixels, count), rows)
        followers = {}
        for i, (name, follower) in enumerate(state.followers.items()):
            experiment = experiments[name]
            key = jax.random.fold_in(jax.random.fold_in(lead.keys.step, count), i)
            params = {"model": model, "control_variate": follower.control_variate}
            grads = jax.grad(experiment.loss)(params, key, x, count)
            moments = update_moments(follower.moments, grads["model"])
            # The model is the driver's to move.
            cv = {"control_variate": follower.control_variate}
            with jax.numpy_dtype_promotion("standard"):
                updates, opt_state = experiment.optimizer.update(
                    {"control_variate": grads["control_variate"]},
                    follower.opt_state,
                    cv,
                )
            cv = optax.apply_updates(cv, updates)["control_variate"]
            followers[name] = Follower(cv, opt_state, moments)
        new, checked = lead.step(state.driver, rows)
        return State(new, followers), checked

    def block(state: State, images: Images) -> Any:
        state, checked = jax.lax.scan(
            lambda state, rows: step(state, images.train[rows]),
            state,
            lead.batches(state.driver.step, images.train),
        )
        metrics = {}
        moments = {n: f.moments for n, f in state.followers.items()}
        for name, m in (moments | {driver: state.driver.moments}).items():
            encoder = Moments(m.mean["encoder"], m.square["encoder"])
            count = state.driver.step
            metrics[f"{name}.log_variance"] = log_variance(m, count)
            metrics[f"{name}.encoder_log_variance"] = log_variance(encoder, count)
        return state, checked, metrics

    compiled = jax.jit(block, donate_argnums=0)
    state, images, rows = jax.jit(init)(), lead.images(), []
    with console.training_progress(screen) as progress:
        task = progress.add_task(
            f"variance along {driver}, seed {configs[driver].seed}",
            total=num_steps,
            status="compiling",
        )
        done = 0
        while done < num_steps:
            state, checked, metrics = jax.block_until_ready(compiled(state, images))
            remedy = "Lower optimizer.learning_rate."
            check_finite(done, checked, remedy)
            done = int(state.driver.step)
            check_finite(done, metrics, remedy)
            rows.append({"step": done, **{k: float(v) for k, v in metrics.items()}})
            progress.update(task, completed=done, status="")
    return rows
