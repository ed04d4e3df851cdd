"""What settings are made of: numbers with bounds, and schedules of the step."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, TypeVar

from tyro.constructors import PrimitiveConstructorSpec

T = TypeVar("T")


def bounded(
    default: T,
    *,
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> T:
    """A field whose value, or each of whose values, has bounds.

    Args:
      default: the value where nothing is given.
      at_least: smallest allowed value. Default: none.
      above: number that every allowed value exceeds. Default: none.
      below: number that exceeds every allowed value. Default: none.

    Returns:
      The dataclass field; the bound is checked by ``settings.check``.
    """
    metadata = {"at_least": at_least, "above": above, "below": below}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A number, or an optax schedule of the training step and its arguments."""

    name: str = "constant_schedule"
    """The optax function."""
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The arguments that it is called with."""

    @property
    def is_constant(self) -> bool:
        """Whether its value is a number for all steps."""
        return self.name == "constant_schedule"


def constant(value: Any) -> Schedule:
    """A schedule that stays where it starts.

    Args:
      value: the number.

    Returns:
      The schedule.
    """
    return Schedule("constant_schedule", {"value": value})


def scheduled(
    default: float, *, at_least: float | None = None, above: float | None = None
) -> Any:
    """A field for a schedule whose values have a lower bound.

    Args:
      default: the constant where nothing is given.
      at_least: smallest allowed value. Default: none.
      above: number that every allowed value exceeds. Default: none.

    Returns:
      The dataclass field, as from :func:`bounded`.
    """
    metadata = {"at_least": at_least, "above": above}
    return dataclasses.field(
        default_factory=lambda: constant(default), metadata=metadata
    )


def _show(schedule: Schedule) -> list[str]:
    if schedule.is_constant:
        return [str(schedule.arguments.get("value"))]
    return [schedule.name]


#: On the command line a schedule is a number; a file can describe any other.
Scheduled = Annotated[
    Schedule,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="NUMBER",
        instance_from_str=lambda args: constant(float(args[0])),
        is_instance=lambda value: isinstance(value, Schedule),
        str_from_instance=_show,
    ),
]


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """The settings by their dotted names, for comparisons.

    Args:
      config: a configuration, or the tables that it was written as.
      prefix: put before every name. Default: nothing.

    Returns:
      ``{"optimizer.learning_rate": 0.001, ...}``, tuples as lists.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            # The steps of a schedule are integers here, and text in JSON.
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
