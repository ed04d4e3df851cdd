"""Optax schedules by their names."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import Schedule

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
        _check_numbers(arguments)
        # Its value is computed on the device, and so not before a run starts.
        SCHEDULES[function](**arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Expected {name} to hold the arguments of optax.{function}, got: {error}. "
            "Correct the table."
        ) from None
    return Schedule(function, arguments)


def _check_numbers(arguments: dict[str, Any]) -> None:
    for key, value in arguments.items():
        for item in value.values() if isinstance(value, dict) else (value,):
            if not isinstance(item, numbers.Real):
                raise TypeError(f"{key} = {item!r}, which is no number")


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
