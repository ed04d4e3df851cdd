"""Optax schedules by their names, and the optimisers of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings import Optimizer, Schedule

SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {
    name: getattr(optax, name)
    for name in (
        "constant_schedule",
        "cosine_decay_schedule",
        "cosine_onecycle_schedule",
        "exponential_decay",
        "linear_onecycle_schedule",
        "linear_schedule",
        "piecewise_constant_schedule",
        "polynomial_schedule",
        "warmup_constant_schedule",
        "warmup_cosine_decay_schedule",
        "warmup_exponential_decay_schedule",
    )
}


def read_schedule(table: dict[str, Any], name: str) -> Schedule:
    """A schedule from the table of a configuration file.

    Args:
      table: ``name`` and the arguments of the optax function of that name.
      name: of the key, for error messages.

    Returns:
      The schedule.

    Raises:
      UsageError: if the function is unknown or cannot be called so.
    """
    arguments = dict(table)
    function = arguments.pop("name", None)
    if not isinstance(function, str) or function not in SCHEDULES:
        raise UsageError(
            f"Expected {name}.name among {', '.join(SCHEDULES)}, got {function!r}. "
            "Choose one of these optax schedules, or give a number."
        )
    try:
        if "boundaries_and_scales" in arguments:
            # TOML has no integer keys.
            steps = dict(arguments["boundaries_and_scales"])
            arguments["boundaries_and_scales"] = {int(k): v for k, v in steps.items()}
        inspect.signature(SCHEDULES[function]).bind(**arguments)
        value_at(Schedule(function, arguments), jnp.asarray(0))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Expected {name} to hold the arguments of optax.{function}, got: {error}. "
            "Correct the table."
        ) from None
    return Schedule(function, arguments)


def value_at(schedule: Schedule, step: jax.Array) -> jax.Array:
    """The value of a schedule.

    Args:
      schedule: from a configuration.
      step: the training step.

    Returns:
      A float32 scalar.
    """
    # Optax raises floats to integer counts, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        value = SCHEDULES[schedule.name](**schedule.arguments)(step)
        return jnp.asarray(value, jnp.float32)


def make_optimizer(
    settings: Optimizer, moving_averages: frozenset[str]
) -> optax.GradientTransformation:
    """The model's optimiser, and those of control variates.

    Args:
      settings: of the optimiser.
      moving_averages: parameters of control variates that follow plain SGD.

    Returns:
      A transformation of ``{"model", "control_variate"}``, or of the latter alone.
    """

    def labels(params: Any) -> Any:
        layers = {
            layer: {
                name: "moving_average" if name in moving_averages else "other"
                for name in cv
            }
            for layer, cv in params["control_variate"].items()
        }
        named = {"model": "model", "control_variate": layers}
        return {part: named[part] for part in params}

    return optax.multi_transform(
        {
            "model": _descend(settings, 1.0, settings.weight_decay),
            "other": _descend(settings, settings.control_variate_factor, 0.0),
            "moving_average": optax.sgd(settings.moving_average_rate),
        },
        labels,
    )


def _descend(
    settings: Optimizer, factor: float, weight_decay: float
) -> optax.GradientTransformation:
    def rate(step: jax.Array) -> jax.Array:
        return factor * value_at(settings.learning_rate, step)

    if settings.name == "sgd":
        descend = optax.sgd(rate, settings.momentum)
    else:
        descend = optax.adam(rate, settings.momentum, settings.square_decay)
    if weight_decay == 0.0:
        return descend
    return optax.chain(optax.add_decayed_weights(weight_decay), descend)
