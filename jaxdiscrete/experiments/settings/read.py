"""From tables to settings: every key is known and of its type, or an error says so."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import Schedule, constant
from jaxdiscrete.experiments.settings.schedules import read_schedule

#: For a base class of settings: from a table and its key to the class that it means.
Variants = Mapping[type, Callable[[dict[str, Any], str], type]]

_NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


def read(kind: Any, value: Any, name: str, variants: Variants) -> Any:
    """A value of a TOML file as what a setting is declared to be.

    Args:
      kind: the declared type.
      value: as ``tomllib`` gives it.
      name: of the key, for error messages.
      variants: classes that a table chooses by one of its values.

    Returns:
      The value.

    Raises:
      UsageError: naming the key, what was expected and what came.
    """
    if kind is Schedule:
        if _is_number(value):
            return constant(_as_float(value, name))
        if isinstance(value, dict):
            return read_schedule(value, name)
        raise _wrong_type(name, "a number or a table", value)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise _wrong_type(name, "a table", value)
        return read_table(typing.cast(type, kind), value, f"{name}.", variants)
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if value not in choices or isinstance(value, bool):
            listed = ", ".join(map(str, choices))
            raise UsageError(
                f"Expected {name} among {listed}, got {value!r}. Choose one of them."
            )
        return value
    if isinstance(kind, types.UnionType):
        # TOML has no null: a key that may be None is left out.
        (kind,) = (k for k in typing.get_args(kind) if k is not type(None))
        return read(kind, value, name, variants)
    if isinstance(kind, types.GenericAlias):
        (item, _) = typing.get_args(kind)
        if not isinstance(value, list):
            raise _wrong_type(name, "a list", value)
        return tuple(
            read(item, v, f"{name}[{i}]", variants) for i, v in enumerate(value)
        )
    if kind is float and _is_number(value):
        return _as_float(value, name)
    # A bool is an int to Python, and a seed of true is surely a mistake.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _wrong_type(name, _NAMES[kind], value)
    return value


def read_table(
    kind: type, table: dict[str, Any], prefix: str, variants: Variants
) -> Any:
    """A dataclass from a table.

    Args:
      kind: the dataclass, or a key of ``variants``.
      table: as ``tomllib`` gives it.
      prefix: of the keys' names, empty or ending in a dot.
      variants: as for :func:`read`.

    Returns:
      An instance; keys that the table leaves out have their defaults.

    Raises:
      UsageError: as :func:`read`, also for unknown and missing keys.
    """
    if kind in variants:
        kind = variants[kind](table, prefix)
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise UsageError(
                f"Expected a key among {', '.join(prefix + f for f in fields)}, got "
                f"the unknown key {prefix}{key}. Remove it, or correct its name."
            )
    values = {
        key: read(hints[key], value, prefix + key, variants)
        for key, value in table.items()
        # What is not given at construction is what chose the class.
        if fields[key].init
    }
    for field in fields.values():
        defaults = (field.default, field.default_factory)
        is_required = all(d is dataclasses.MISSING for d in defaults)
        if is_required and field.name not in values:
            raise UsageError(
                f"Expected the key {prefix}{field.name}, got none. Add it."
            )
    return kind(**values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: float, name: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise UsageError(
            f"Expected {name} in the range of a float, got an integer beyond it. "
            "Correct its value."
        ) from None


def _wrong_type(name: str, expected: str, value: Any) -> UsageError:
    return UsageError(
        f"Expected {name} to be {expected}, got {value!r} of type "
        f"{type(value).__name__}. Correct its value."
    )
