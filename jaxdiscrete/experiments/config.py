"""Strict TOML: every key is known, of its type and in its range, or an error."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import jax.numpy as jnp

from jaxdiscrete.experiments.claims import Claim, Short
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators import find_estimator
from jaxdiscrete.experiments.relaxation_study import run_names
from jaxdiscrete.experiments.schedules import read_schedule, value_at
from jaxdiscrete.experiments.settings import (
    Config,
    Estimator,
    Schedule,
    StudyConfig,
    ToyConfig,
    constant,
)

C = TypeVar("C", Config, StudyConfig)

_NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One file of a paper: a claim and the runs that check it."""

    claim: Claim
    short: Short
    runs: dict[str, Config | ToyConfig | StudyConfig]


def load_config(path: Path, kind: type[C]) -> C:
    """Reads a configuration of one run.

    Args:
      path: a TOML file.
      kind: ``Config`` or ``StudyConfig``.

    Returns:
      The configuration; keys that the file leaves out have their defaults.

    Raises:
      UsageError: if the file is missing or not TOML, or names the key that is
        unknown, of a wrong type or out of range.
    """
    table = _load(path)
    if kind is StudyConfig:
        table.pop("claim", None)
    try:
        config = _read_table(kind, table, "")
        check(config)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return config


def load_runs(path: Path) -> dict[str, Config]:
    """Reads the runs of a file, which has one estimator or several.

    Args:
      path: a TOML file with a table ``estimator``, or with ``estimators`` by name.

    Returns:
      Configurations by the run's name, which for one run is that of the file.

    Raises:
      UsageError: as :func:`load_config`.
    """
    if "estimators" not in _load(path):
        return {path.stem: load_config(path, Config)}
    runs = load_experiment(path).runs
    configs = {k: v for k, v in runs.items() if isinstance(v, Config)}
    if not configs:
        raise UsageError(
            f"Expected runs with data and a model in {path}, got a toy problem. Run: "
            f"jaxdiscrete reproduce {path} --short"
        )
    return configs


def load_experiment(path: Path) -> Experiment:
    """Reads a claim and its runs.

    Args:
      path: a TOML file with tables ``claim``, ``short`` and ``estimators``, or a
        study with a claim.

    Returns:
      The experiment.

    Raises:
      UsageError: as :func:`load_config`, also if a claim names a run that the file
        has not.
    """
    table = _load(path)
    try:
        if "claim" not in table or not ("estimators" in table or "logits" in table):
            raise UsageError(
                "Expected the tables claim and estimators, got a configuration of one "
                "run. Train it with: jaxdiscrete train."
            )
        claim = _read(Claim, table.pop("claim"), "claim")
        short = _read(Short, table.pop("short", {}), "short")
        _check_bounds(claim, "claim.")
        _check_bounds(short, "short.")
        if "estimators" in table:
            runs = _read_runs(table)
        else:
            study = _read_table(StudyConfig, table, "")
            check(study)
            runs = dict.fromkeys(run_names(study), study)
        _check_names(claim, short, runs)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return Experiment(claim, short, runs)


def _read_runs(table: dict[str, Any]) -> dict[str, Any]:
    """The runs of a table with estimators, of models or of toys."""
    if "estimator" in table:
        raise UsageError(
            "Expected the table estimator or estimators, got both. Remove one."
        )
    estimators = _table(table.pop("estimators"), "estimators")
    if not estimators:
        raise UsageError(
            "Expected at least one table in estimators, got none. Add one, for "
            'instance [estimators.rebar] with name = "rebar".'
        )
    kind = ToyConfig if "toy" in table else Config
    table |= _table(table.pop("toy", {}), "toy")
    runs = {}
    for name, estimator in estimators.items():
        try:
            runs[name] = _read_table(kind, table | {"estimator": estimator}, "")
            check(runs[name])
        except UsageError as error:
            raise UsageError(f"estimators.{name}: {error}") from None
    return runs


def _load(path: Path) -> dict[str, Any]:
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
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"Expected TOML in {path}, got: {error}. Correct the file there."
        ) from None


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_type(name, "a table", value)
    return value


def _check_names(claim: Claim, short: Short, runs: dict[str, Any]) -> None:
    used = [p.run for p in claim.published] + [*short.runs, *short.trajectory_runs]
    for e in claim.expectations:
        used += [*e.lower, *e.higher, *e.inside]
        # Without both sides there is nothing that could fail.
        if bool(e.lower) != bool(e.higher) or not (e.lower or e.inside):
            raise UsageError(
                "Expected lower and higher, or inside, in every claim.expectations, "
                f"got neither pair nor range for {e.text!r}. Name the runs."
            )
        if e.inside and len(e.range) != 2:
            raise UsageError(
                "Expected range to be two numbers where claim.expectations has inside, "
                f"got {list(e.range)}. Give the least and the largest value."
            )
    if short.shared_trajectory:
        used.append(short.shared_trajectory)
    for name in used:
        if name not in runs:
            raise UsageError(
                f"Expected runs of claim and short among {', '.join(runs)}, got "
                f"{name!r}. Correct the name, or add its table under estimators."
            )
    for name, config in runs.items():
        block = config.training.steps_per_block if isinstance(config, Config) else 1
        if short.num_steps % block:
            raise UsageError(
                f"Expected short.num_steps to be a multiple of the steps_per_block "
                f"{block} of {name}, got {short.num_steps}. Change one of them."
            )
    followed = short.trajectory_runs or tuple(runs)
    if short.shared_trajectory and short.shared_trajectory not in followed:
        raise UsageError(
            "Expected short.shared_trajectory among short.trajectory_runs, got "
            f"{short.shared_trajectory!r}. Add it there."
        )
    # Found only when they are compared, these would cost the hours of the runs.
    for e in claim.expectations:
        if e.trajectory and not short.shared_trajectory:
            raise UsageError(
                "Expected short.shared_trajectory where claim.expectations has "
                f"trajectory = true, got none for {e.text!r}. Name the run."
            )
        measured = followed if e.trajectory else short.runs or tuple(runs)
        for name in (*e.lower, *e.higher, *e.inside):
            if name not in measured:
                raise UsageError(
                    "Expected runs of claim.expectations among those that are measured "
                    f"at the short length, {', '.join(measured)}, got {name!r}. "
                    "Correct the name, or add it in short."
                )


def check(config: Config | StudyConfig | ToyConfig) -> None:
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
    if isinstance(config, ToyConfig):
        _check_schedules(config, config.num_steps)
        estimator = config.estimator
        if getattr(estimator, "baseline_hidden", ()) and getattr(
            estimator, "input_baseline", True
        ):
            raise UsageError(
                "Expected no baseline of the inputs, which one variable has not, got "
                f"one in {estimator.name}. Set estimator.input_baseline = false for "
                "nvil, estimator.baseline_hidden = [] for others."
            )
        if config.num_steps % config.steps_per_point:
            raise UsageError(
                "Expected num_steps to be a multiple of "
                f"steps_per_point={config.steps_per_point}, got {config.num_steps}. "
                "Change one of them."
            )
        return
    if not config.model.num_latents:
        raise UsageError(
            "Expected model.num_latents to be at least one number, got none. Give one "
            "a stochastic layer."
        )
    steps, block = config.training.num_steps, config.training.steps_per_block
    _check_schedules(config, steps)
    if steps % block:
        raise UsageError(
            "Expected training.num_steps to be a multiple of "
            f"training.steps_per_block={block}, got {steps}. Change one of them."
        )


def _read_table(kind: type, table: dict[str, Any], prefix: str) -> Any:
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise UsageError(
                f"Expected a key among {', '.join(prefix + h for h in hints)}, got the "
                f"unknown key {prefix}{key}. Remove it, or correct its name."
            )
    values = {k: _read(hints[k], v, prefix + k) for k, v in table.items()}
    for field in dataclasses.fields(kind):
        defaults = (field.default, field.default_factory)
        is_required = all(d is dataclasses.MISSING for d in defaults)
        if is_required and field.name not in values:
            raise UsageError(
                f"Expected the key {prefix}{field.name}, got none. Add it."
            )
    return kind(**values)


def _read(kind: Any, value: Any, name: str) -> Any:
    if kind is Schedule:
        if _is_number(value):
            return constant(float(value))
        if isinstance(value, dict):
            return read_schedule(value, name)
        raise _wrong_type(name, "a number or a table", value)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise _wrong_type(name, "a table", value)
        return _read_dataclass(kind, value, name)
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if value not in choices or isinstance(value, bool):
            listed = ", ".join(map(str, choices))
            raise UsageError(
                f"Expected {name} among {listed}, got {value!r}. Choose one of them."
            )
        return value
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
        if isinstance(value, Schedule):
            continue
        if dataclasses.is_dataclass(value):
            _check_bounds(value, f"{name}.")
            continue
        for i, item in enumerate(value if isinstance(value, tuple) else (value,)):
            if dataclasses.is_dataclass(item):
                _check_bounds(item, f"{name}[{i}].")
            else:
                _check_number(name, item, field.metadata)


def _check_schedules(config: Config | ToyConfig, num_steps: int) -> None:
    """Checks the values of schedules at both ends; between them most are monotone."""
    for table in ("optimizer", "estimator"):
        part = getattr(config, table)
        for field in dataclasses.fields(part):
            schedule = getattr(part, field.name)
            if isinstance(schedule, Schedule):
                for step in (0, num_steps - 1):
                    value = float(value_at(schedule, jnp.asarray(step)))
                    _check_number(f"{table}.{field.name}", value, field.metadata)


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
