"""The gradient meter on a trained model: the logits of its encoder, for some images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.data.dataset import shuffled_subset
from jaxdiscrete.experiments.errors import RunError, UsageError
from jaxdiscrete.experiments.estimators.base import Estimator, EstimatorAtStep
from jaxdiscrete.experiments.estimators.enumeration import Exact
from jaxdiscrete.experiments.estimators.multi_sample import ReinforceLoo
from jaxdiscrete.experiments.estimators.table import find_estimator
from jaxdiscrete.experiments.layered import objective
from jaxdiscrete.experiments.layered.settings import LayeredSettings
from jaxdiscrete.experiments.layered.task import LayeredTask
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.settings.fields import flatten
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import checkpoints, step
from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.settings import Config

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
    num_gradients: int,
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
      num_gradients: gradients per estimator.

    Returns:
      The measurement; of the run's own estimator under its name and "(trained)". Its
      calls are those of a layer's cost, per image.

    Raises:
      UsageError: if a name, a number, the run or its checkpoint cannot be used.
      RunError: if a gradient is not finite.
    """
    _check_counts(num_images, num_gradients)
    settings = _check_model(config)
    others = {}
    for name in estimators:
        others[name] = find_estimator({"name": name}, "estimator.")()
        _check_objective(others[name])
        check(dataclasses.replace(config, estimator=others[name]))
    _check_run(config, folder)
    task = cast(LayeredTask, make_task(config))
    state = checkpoints.restore(folder, jax.eval_shape(lambda: step.init(task)))

    rows = jnp.asarray(shuffled_subset(task.dataset.valid, num_images))
    x = task.pixels(stream(config.seed, Stream.METER_PIXELS), rows)
    problem = _Problem(task, state.params["model"], x, state.step)
    trained = problem.transform(config.estimator, state.params["control_variate"])
    transforms = {f"{config.estimator.name} (trained)": trained}
    for name, estimator in others.items():
        transforms[name] = problem.untrained(estimator)
    oracle, description = _oracle(problem, settings, num_gradients)
    try:
        measured = jd.measure(
            transforms,
            stream(config.seed, Stream.METER),
            problem.offsets(),
            num_gradients=num_gradients,
            f=task.network.cost,
            oracle=oracle,
            chunk_size=max(1, CHUNK // len(x)),
        )
    except FloatingPointError as error:
        raise RunError(str(error)) from None
    assert measured.oracle is not None
    per_image = {
        name: dataclasses.replace(found, calls=(found.calls or 0) // len(x))
        for name, found in measured.estimators.items()
    }
    named = dataclasses.replace(measured.oracle, description=description)
    return dataclasses.replace(measured, oracle=named, estimators=per_image)


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    """The summed loss of some images as a function of what is added to the logits."""

    task: LayeredTask
    weights: Any
    x: jax.Array
    step: jax.Array

    def offsets(self) -> list[jax.Array]:
        """Zeros, ``[images, ...]`` for every layer."""
        model, result = self.task.network, []
        below = self.x[0]
        for layer in range(model.depth):
            q = model.posterior(self.weights, layer, below, self.x[0])
            result.append(jnp.zeros((len(self.x), *q.logits.shape)))
            below = jnp.zeros_like(q.mean())
        return result

    def transform(self, settings: Estimator, control_variate: Any) -> Transform:
        """From the costs of the layers to the estimate of an estimator."""
        estimator = EstimatorAtStep(settings, self.step)

        def with_cost(cost: Any) -> jd.Estimator:
            model: Any = _Shifted(self.task.network, cost)

            def one(key: jax.Array, offsets: list[jax.Array], x: jax.Array) -> Any:
                params = {"model": self.weights, "offsets": offsets}
                return objective.loss(model, params, control_variate, estimator, key, x)

            def estimate(key: jax.Array, q: list[jax.Array]) -> jax.Array:
                keys = jax.random.split(key, len(self.x))
                return jax.vmap(one)(keys, q, self.x).sum()

            return estimate

        return with_cost

    def untrained(self, settings: Estimator) -> Transform:
        """As :meth:`transform`, with a control variate as it starts."""
        key = stream(self.task.config.seed, Stream.METER_INIT)
        control_variate = objective.init_control_variates(
            self.task.network, self.weights, settings, key
        )
        return self.transform(settings, control_variate)


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


def _oracle(
    problem: _Problem, settings: LayeredSettings, num_gradients: int
) -> tuple[Transform, str]:
    """What the others are compared with, and what to call it."""
    if settings.has_few_states:
        num_states = settings.num_classes ** sum(settings.num_latents)
        description = f"exact, by enumeration of {num_states:,} joint states per image"
        return problem.untrained(Exact()), description
    description = (
        f"the mean of {num_gradients:,} leave-one-out gradients of {ORACLE_SAMPLES} "
        "samples each"
    )
    return problem.untrained(ReinforceLoo(num_samples=ORACLE_SAMPLES)), description


def _check_counts(num_images: int, num_gradients: int) -> None:
    for name, count, least in (
        ("--num-images", num_images, 1),
        ("--num-gradients", num_gradients, 2),
    ):
        if count < least:
            raise UsageError(f"Expected {name} >= {least}, got {count}. Raise it.")


def _check_model(config: Config) -> LayeredSettings:
    """The model's settings, if estimators of one objective can be compared on it."""
    if not isinstance(config.model, LayeredSettings):
        raise UsageError(
            "Expected a model with layers to measure estimators with, got model.task = "
            f"{config.model.task!r}. Choose another configuration."
        )
    model = config.model
    if model.num_samples > 1:
        raise UsageError(
            "Expected one sample to measure estimators with, got model.num_samples = "
            f"{model.num_samples}. Choose another configuration."
        )
    if model.divergence == "concrete":
        raise UsageError(
            "Expected an objective of hard samples to measure estimators with, got "
            "model.divergence = 'concrete'. Choose another configuration."
        )
    _check_objective(config.estimator)
    return model


def _check_objective(estimator: Estimator) -> None:
    if estimator.is_bound:
        raise UsageError(
            "Expected estimators of the bound of one sample, got "
            f"{estimator.name!r}, whose bound of several samples has another gradient. "
            "Leave it out."
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
