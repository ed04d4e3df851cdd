"""The one way from frozen records to JSON files and back."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from jaxdiscrete.experiments.output.folder import replacing

R = TypeVar("R")


def write(path: Path, record: Any) -> None:
    """Writes a record, or a sequence of records, as one JSON document."""
    with replacing(path) as temporary:
        temporary.write_text(f"{_dump(to_plain(record))}\n", encoding="utf-8")


def read(path: Path, kind: type[R]) -> R:
    """Reads a record.

    Raises:
      OSError: if the file cannot be read.
      ValueError: if it holds anything but such a record, naming the place in it.
    """
    return from_plain(json.loads(path.read_text(encoding="utf-8")), kind)


def to_plain(value: Any) -> Any:
    """Tables, lists and scalars; None for what JSON has no number for."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: to_plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, dict):
        return {key: to_plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def from_plain(value: Any, kind: Any, place: str = "$") -> Any:
    """Undoes :func:`to_plain`; a missing number of a required field becomes NaN."""
    if kind is Any:
        return value
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [a for a in args if a is not types.NoneType]
        return None if value is None else from_plain(value, inner, place)
    if origin is typing.Literal:
        if value not in args:
            raise _mismatch(f"one of {', '.join(map(repr, args))}", value, place)
        return value
    if dataclasses.is_dataclass(kind):
        return _from_table(value, kind, place)
    if origin is dict:
        items = _checked(value, dict, "a table", place).items()
        return {k: from_plain(v, args[1], f"{place}.{k}") for k, v in items}
    if origin is tuple:
        items = enumerate(_checked(value, list, "a list", place))
        return tuple(from_plain(v, args[0], f"{place}[{i}]") for i, v in items)
    if kind is float:
        if value is None:
            return math.nan
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number else _checked(value, float, "float", place)
    if kind is int and isinstance(value, bool):
        raise _mismatch("int", value, place)
    return _checked(value, kind, kind.__name__, place)


def _from_table(value: Any, kind: Any, place: str) -> Any:
    table = _checked(value, dict, "a table", place)
    hints = _hints(kind)
    if unknown := table.keys() - hints.keys():
        raise ValueError(f"unknown key {sorted(unknown)[0]!r} at {place}")
    values = {k: from_plain(v, hints[k], f"{place}.{k}") for k, v in table.items()}
    for field in dataclasses.fields(kind):
        defaults = (field.default, field.default_factory)
        is_required = all(d is dataclasses.MISSING for d in defaults)
        if is_required and field.name not in values:
            raise ValueError(f"no {field.name!r} at {place}")
    return kind(**values)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _checked(value: Any, kind: type, expected: str, place: str) -> Any:
    if not isinstance(value, kind):
        raise _mismatch(expected, value, place)
    return value


def _mismatch(expected: str, value: Any, place: str) -> ValueError:
    return ValueError(f"{type(value).__name__} instead of {expected} at {place}")


def _dump(value: Any, margin: str = "") -> str:
    """JSON with one line per entry of a table, and lists of scalars on one line."""
    inner = f"{margin}  "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(k)}: {_dump(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        lines = [f"{inner}{_dump(v, inner)}" for v in value]
        return "[\n" + ",\n".join(lines) + f"\n{margin}]"
    return json.dumps(value)
