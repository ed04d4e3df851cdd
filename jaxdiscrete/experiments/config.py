"""Strict TOML: every key is known, of its type and in its range, or an error."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators import find_estimator
from jaxdiscrete.experiments.settings import Config, Estimator, Schedule, StudyConfig

C = TypeVar("C", Config, StudyConfig)

_NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


def load_config(path: Path, kind: type[C]) -> C:
    """Reads a configuration file.

    Args:
      path: a TOML file.
      kind: ``Config`` or ``StudyConfig``.

    Returns:
      The configuration; keys that the file leaves out have their defaults.

    Raises:
      UsageError: if the file is missing or not TOML, or names the key that is
        unknown, of a wrong type or out of range.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"Expected a configuration file at {path}, got no such file. Check the "
            "path; configs/ holds the ones that come with the project."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"Expected a readable text file at {path}, got: {error}. Give the path of "
            "a TOML file."
        ) from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"Expected TOML in {path}, got: {error}. Correct the file there."
        ) from None
    try:
        config = _read_table(kind, table, "")
        check(config)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return config


def check(config: Config | StudyConfig) -> None:
    """Checks the ranges, which the command line may have left.

    Args:
      config: any configuration.

    Raises:
      UsageError: naming the key, what was expected and what came.
    """
    _check_bounds(config, "")
    if isinstance(config, StudyConfig):
        if len(config.logits) < 2:
            raise UsageError(
                f"Expected logits to be at least 2 numbers, got {len(config.logits)}. "
                "A variable with one class has nothing to estimate."
            )
        return
    epochs, block = config.training.num_epochs, config.training.epochs_per_block
    if epochs % block:
        raise UsageError(
            "Expected training.num_epochs to be a multiple of "
            f"training.epochs_per_block={block}, got {epochs}. Change one of them."
        )


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
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


def _read_table(kind: type, table: dict[str, Any], prefix: str) -> Any:
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise UsageError(
                f"Expected a key among {', '.join(prefix + h for h in hints)}, got the "
                f"unknown key {prefix}{key}. Remove it, or correct its name."
            )
    values = {k: _read(hints[k], v, prefix + k) for k, v in table.items()}
    return kind(**values)


def _read(kind: Any, value: Any, name: str) -> Any:
    if kind is Schedule and _is_number(value):
        return Schedule(float(value), float(value))
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            what = "a number or a table" if kind is Schedule else "a table"
            raise _wrong_type(name, what, value)
        return _read_dataclass(kind, value, name)
    if isinstance(kind, types.GenericAlias):
        (item, _) = typing.get_args(kind)
        if not isinstance(value, list):
            raise _wrong_type(name, "a list", value)
        return tuple(_read(item, v, f"{name}[{i}]") for i, v in enumerate(value))
    if kind is float and _is_number(value):
        return float(value)
    # A bool is an int to Python, and a seed of true is surely a mistake.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _wrong_type(name, _NAMES[kind], value)
    return value


def _read_dataclass(kind: Any, table: dict[str, Any], name: str) -> Any:
    if kind is Estimator:
        given = _read(str, table.get("name", Estimator.name), f"{name}.name")
        kind = find_estimator(given).settings
    return _read_table(kind, table, f"{name}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong_type(name: str, expected: str, value: Any) -> UsageError:
    return UsageError(
        f"Expected {name} to be {expected}, got {value!r} of type "
        f"{type(value).__name__}. Correct its value."
    )


def _check_bounds(config: Any, prefix: str) -> None:
    for field in dataclasses.fields(config):
        name, value = prefix + field.name, getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _check_bounds(value, f"{name}.")
            continue
        for item in value if isinstance(value, tuple) else (value,):
            _check_number(name, item, field.metadata)


def _check_number(name: str, value: Any, bounds: Any) -> None:
    at_least, above = bounds.get("at_least"), bounds.get("above")
    if isinstance(value, float) and not math.isfinite(value):
        expected = "finite"
    elif at_least is not None and value < at_least:
        expected = f">= {at_least}"
    elif above is not None and value <= above:
        expected = f"> {above}"
    else:
        return
    raise UsageError(f"Expected {name} {expected}, got {value}. Correct its value.")
