"""The gradient meter on a trained model: the logits of its encoder, for some images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments import checkpoints, files, objective
from jaxdiscrete.experiments.config import check
from jaxdiscrete.experiments.data import load_dataset, shuffled_subset
from jaxdiscrete.experiments.errors import RunError, UsageError
from jaxdiscrete.experiments.estimators import find_estimator
from jaxdiscrete.experiments.settings import Config, MultiSample, flatten
from jaxdiscrete.experiments.training import MAX_STATES, Experiment

#: Samples of every gradient of the leave-one-out oracle.
ORACLE_SAMPLES = 50
#: Images times gradients that are computed at a time.
CHUNK = 2_000
#: What has to be as it was in training.
_SAME = ("model.", "data.", "estimator.")

Transform = Callable[[Any], jd.Estimator]


def measure(
    config: Config,
    folder: Path,
    estimators: Sequence[str],
    *,
    num_images: int,
    num_samples: int,
) -> jd.Measurement:
    """Measures estimators at the newest checkpoint of a run.

    The gradient is that of the summed negative bound of some validation images with
    respect to the logits of all layers. The oracle is exact where an image has few
    joint states, and else a long leave-one-out run.

    Args:
      config: of the run.
      folder: of the run.
      estimators: names of further ones, with their default settings and an untrained
        control variate.
      num_images: how many images.
      num_samples: gradients an estimator.

    Returns:
      The measurement; of the run's own estimator under its name and "(trained)". Its
      calls are those of a layer's cost, an image.

    Raises:
      UsageError: if a name, a number, the run or its checkpoint cannot be used.
      RunError: if a gradient is not finite.
    """
    _check_counts(num_images, num_samples)
    _check_model(config)
    configs = {f"{config.estimator.name} (trained)": config}
    for name in estimators:
        settings = find_estimator(name).settings(name)
        configs[name] = dataclasses.replace(config, estimator=settings)
        check(configs[name])
    _check_run(config, folder)
    dataset = load_dataset(config.data.name, config.data.binarization or None)
    experiments = {name: Experiment(c, dataset) for name, c in configs.items()}
    own = next(iter(experiments.values()))
    state = checkpoints.restore(folder, jax.jit(own.init)())

    rows = jnp.asarray(shuffled_subset(dataset.valid, num_images))
    x = own.pixels(own.keys.figures, rows)
    problem = _Problem(own, state.params["model"], x, state.step)
    transforms = {}
    for name, experiment in experiments.items():
        cv = state.params["control_variate"]
        if experiment is not own:
            cv = experiment.init_control_variates(problem.weights, own.keys.init)
        transforms[name] = problem.transform(experiment, cv)
    oracle, description = _oracle(problem, num_samples)
    try:
        measured = jd.measure(
            transforms,
            own.keys.evaluation,
            problem.offsets(),
            num_samples=num_samples,
            f=own.model.cost,
            oracle=oracle,
            chunk_size=max(1, CHUNK // len(x)),
        )
    except FloatingPointError as error:
        raise RunError(str(error)) from None
    assert measured.oracle is not None
    readings = {
        name: dataclasses.replace(reading, calls=(reading.calls or 0) // len(x))
        for name, reading in measured.estimators.items()
    }
    named = dataclasses.replace(measured.oracle, description=description)
    return dataclasses.replace(measured, oracle=named, estimators=readings)


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    """The summed loss of some images as a function of what is added to the logits."""

    experiment: Experiment
    weights: Any
    x: jax.Array
    step: jax.Array

    def offsets(self) -> list[jax.Array]:
        """Zeros, ``[images, ...]`` for every layer."""
        model, result = self.experiment.model, []
        below = self.x[0]
        for layer in range(model.depth):
            q = model.posterior(self.weights, layer, below, self.x[0])
            result.append(jnp.zeros((len(self.x), *q.logits.shape)))
            below = jnp.zeros_like(q.mean())
        return result

    def transform(self, experiment: Experiment, control_variate: Any) -> Transform:
        """From the costs of the layers to the estimate of an experiment."""
        estimation = experiment.estimation(self.step)

        def with_cost(cost: Any) -> jd.Estimator:
            model: Any = _Shifted(self.experiment.model, cost)

            def one(key: jax.Array, offsets: list[jax.Array], x: jax.Array) -> Any:
                params = {"model": self.weights, "offsets": offsets}
                return objective.loss(
                    model, params, control_variate, estimation, key, x
                )

            def estimate(key: jax.Array, q: list[jax.Array]) -> jax.Array:
                keys = jax.random.split(key, len(self.x))
                return jax.vmap(one)(keys, q, self.x).sum()

            return estimate

        return with_cost


class _Shifted:
    """A model whose parameters say what is added to its logits, ``{"offsets", ...}``.

    It offers what :func:`objective.loss` asks for.
    """

    def __init__(self, model: Any, cost: Any) -> None:
        self.model, self.of_layer = model, cost
        self.depth, self.inputs = model.depth, model.inputs

    def posterior(self, params: Any, layer: int, below: Any, x: Any) -> Any:
        q = self.model.posterior(params["model"], layer, below, x)
        return jax.tree.map(lambda logits: logits + params["offsets"][layer], q)

    def divergence(self, params: Any, layer: int, q: Any) -> jax.Array:
        return self.model.divergence(params["model"], layer, q)

    def cost(self, params: Any, *args: Any) -> jax.Array:
        return self.of_layer(params["model"], *args)


def _oracle(problem: _Problem, num_samples: int) -> tuple[Transform, str]:
    """What the others are compared with, and what to call it."""
    config, dataset = problem.experiment.config, problem.experiment.dataset
    num_states = config.model.num_classes ** sum(config.model.num_latents)
    if num_states <= MAX_STATES:
        settings = find_estimator("exact").settings("exact")
        description = f"exact, by enumeration of {num_states:,} joint states an image"
    else:
        settings = MultiSample("reinforce_loo", num_samples=ORACLE_SAMPLES)
        description = (
            f"the mean of {num_samples:,} leave-one-out gradients of {ORACLE_SAMPLES} "
            "samples each"
        )
    experiment = Experiment(dataclasses.replace(config, estimator=settings), dataset)
    cv = experiment.init_control_variates(problem.weights, experiment.keys.init)
    return problem.transform(experiment, cv), description


def _check_counts(num_images: int, num_samples: int) -> None:
    for name, count, least in (
        ("--num-images", num_images, 1),
        ("--num-samples", num_samples, 2),
    ):
        if count < least:
            raise UsageError(f"Expected {name} >= {least}, got {count}. Raise it.")


def _check_model(config: Config) -> None:
    """Raises where estimators of one objective cannot be compared."""
    model = config.model
    for key, value, is_possible, remedy in (
        ("task", model.task, model.task != "semi_supervised", "a model with layers"),
        ("num_samples", model.num_samples, model.num_samples == 1, "one sample"),
        (
            "divergence",
            model.divergence,
            model.divergence != "concrete",
            "an objective of hard samples",
        ),
    ):
        if not is_possible:
            raise UsageError(
                f"Expected {remedy} to measure estimators with, got model.{key} = "
                f"{value!r}. Choose another configuration."
            )


def _check_run(config: Config, folder: Path) -> None:
    """Raises unless a folder holds a run of the model and estimator."""
    path = folder / files.CONFIG_FILE
    try:
        trained = flatten(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(
            f"Expected a run in {folder} to measure, got no {files.CONFIG_FILE} there. "
            "Train it first, or correct --run-dir."
        ) from None
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"Expected settings in {path}, got a file that cannot be read ({error}). "
            "Train it again, or correct --run-dir."
        ) from None
    now = flatten(dataclasses.asdict(config))
    for key in sorted(now.keys() | trained.keys()):
        if key.startswith(_SAME) and now.get(key) != trained.get(key):
            raise UsageError(
                f"Expected {key} = {trained.get(key)!r}, as the run in {folder} has "
                f"it, got {now.get(key)!r}. Pass the configuration that it was trained "
                "with, or correct --run-dir."
            )
