"""Ranges of settings, from files and from the command line."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import Schedule
from jaxdiscrete.experiments.settings.schedules import value_at

#: Also of seeds: JAX makes keys of 32 bits without x64.
MAX_INTEGER = 2**31 - 1
_SMALLEST, _LARGEST = 1e-37, 3e38


def check_bounds(settings: Any, prefix: str) -> None:
    """Checks the numbers of settings and of the settings in them.

    Args:
      settings: a dataclass.
      prefix: of the keys' names, empty or ending in a dot.

    Raises:
      UsageError: naming the key.
    """
    for name, value, bounds in _numbers(settings, prefix):
        if isinstance(value, Schedule):
            if value.is_constant:
                _check_number(name, value.arguments["value"], bounds)
        else:
            _check_number(name, value, bounds)


def check_schedules(settings: Any, num_steps: int) -> None:
    """Checks the values of schedules at both ends; between them most are monotone.

    They are computed on the device, so that this waits until a run starts.

    Args:
      settings: a dataclass.
      num_steps: of the run.

    Raises:
      UsageError: naming the key.
    """
    for name, value, bounds in _numbers(settings, ""):
        if isinstance(value, Schedule) and not value.is_constant:
            for step in (0, num_steps - 1):
                number = float(value_at(value, jnp.asarray(step)))
                _check_number(name, number, bounds)


def _numbers(settings: Any, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    """The name, value and bounds of every number and schedule."""
    for field in dataclasses.fields(settings):
        name, value = prefix + field.name, getattr(settings, field.name)
        for i, item in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(item, Schedule) or not dataclasses.is_dataclass(item):
                yield name, item, field.metadata
            else:
                place = f"{name}[{i}]" if isinstance(value, tuple) else name
                yield from _numbers(item, f"{place}.")


def _check_number(name: str, value: Any, bounds: Any) -> None:
    at_least, above = bounds.get("at_least"), bounds.get("above")
    below = bounds.get("below")
    if isinstance(value, int) and value > MAX_INTEGER:
        expected = f"<= {MAX_INTEGER}, since JAX counts in 32 bits"
    elif isinstance(value, float) and not math.isfinite(value):
        expected = "finite"
    elif isinstance(value, float) and value != 0 and not _is_float32(value):
        expected = "in the range of float32, 1e-37 to 3e38 in size"
    elif at_least is not None and value < at_least:
        expected = f">= {at_least}"
    elif above is not None and value <= above:
        expected = f"> {above}"
    elif below is not None and value >= below:
        expected = f"< {below}"
    else:
        return
    # More digits than Python prints are possible.
    got = value if isinstance(value, float) or value < 10**40 else "more"
    raise UsageError(f"Expected {name} {expected}, got {got}. Correct its value.")


def _is_float32(value: float) -> bool:
    return _SMALLEST <= abs(value) <= _LARGEST
