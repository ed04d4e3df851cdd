"""TOML files: the runs of one, and the claim that they check."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.config.claims import Claim, ShortLength
from jaxdiscrete.experiments.config.experiment import Experiment, check_names
from jaxdiscrete.experiments.config.grid import Grid, MeasuredGrid, find_grid
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.base import Estimator
from jaxdiscrete.experiments.estimators.table import find_estimator
from jaxdiscrete.experiments.settings.check import check_bounds
from jaxdiscrete.experiments.settings.read import read, read_table
from jaxdiscrete.experiments.tasks.table import find_model
from jaxdiscrete.experiments.training.settings import Config, Model

VARIANTS = {Estimator: find_estimator, Model: find_model, Grid: find_grid}


def load_runs(path: Path) -> dict[str, Config]:
    """Reads the runs of a file, which has one estimator or several.

    The claim is not looked at, so that a run does not depend on it.

    Args:
      path: a TOML file with a table ``estimator``, or with ``estimators`` by name.

    Returns:
      Configurations by the run's name, which for one run is that of the file.

    Raises:
      UsageError: if the file is missing or not TOML, or names the key that is
        unknown, of a wrong type or out of range.
    """
    table = _load(path)
    try:
        if "estimators" not in table:
            return {path.stem: _read_config(table)}
        if "grid" in table:
            raise UsageError(
                "Expected runs with a model, got a grid of estimators. Run: "
                f"jaxdiscrete reproduce {path} --short"
            )
        for key in ("claim", "short"):
            table.pop(key, None)
        return _read_runs(table)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def load_experiment(path: Path) -> Experiment:
    """Reads a claim and its runs.

    Args:
      path: a TOML file with tables ``claim``, ``short`` and ``estimators``.

    Returns:
      The experiment.

    Raises:
      UsageError: as :func:`load_runs`, also if a claim names a run that the file has
        not.
    """
    table = _load(path)
    try:
        if "claim" not in table or "estimators" not in table:
            raise UsageError(
                "Expected the tables claim and estimators, got a configuration of one "
                "run. Train it with: jaxdiscrete train."
            )
        claim = read(Claim, table.pop("claim"), "claim", VARIANTS)
        short = read(ShortLength, table.pop("short", {}), "short", VARIANTS)
        check_bounds(claim, "claim.")
        check_bounds(short, "short.")
        if "grid" in table:
            experiment = Experiment(claim, short, {}, _read_grid(table))
        else:
            experiment = Experiment(claim, short, _read_runs(table))
        check_names(experiment)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return experiment


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"Expected a configuration file at {path}, got no such file. Give the path "
            "of a TOML file, or the name of one that comes with the project, for "
            "instance digits/rebar."
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
    except RecursionError:
        raise UsageError(
            f"Expected TOML in {path}, got lists or tables that are nested hundreds of "
            "times. Correct the file."
        ) from None
    except ValueError:
        raise UsageError(
            f"Expected TOML in {path}, got a number of thousands of digits. Correct "
            "the file."
        ) from None


def _read_config(table: dict[str, Any]) -> Config:
    """A run; a table that is left out is that of the default task or estimator."""
    tables: dict[str, Any] = {"model": {}, "estimator": {}}
    config: Config = read_table(Config, tables | table, "", VARIANTS)
    check(config)
    return config


def _read_runs(table: dict[str, Any]) -> dict[str, Config]:
    """The runs of a table with estimators, which share the rest."""
    if "estimator" in table:
        raise UsageError(
            "Expected the table estimator or estimators, got both. Remove one."
        )
    runs = {}
    for name, estimator in _estimators(table).items():
        try:
            one = table | {"estimator": estimator}
            runs[name] = _read_config(one)
        except UsageError as error:
            raise UsageError(f"estimators.{name}: {error}") from None
    return runs


def _read_grid(table: dict[str, Any]) -> MeasuredGrid:
    """A grid and its estimators; nothing else has a meaning there."""
    estimators = _estimators(table)
    grid = read(Grid, table.pop("grid"), "grid", VARIANTS)
    if table:
        raise UsageError(
            "Expected grid and estimators and nothing else, got the unknown key "
            f"{next(iter(table))}. Remove it."
        )
    check_bounds(grid, "grid.")
    runs = {}
    for name, settings in estimators.items():
        runs[name] = read(Estimator, settings, f"estimators.{name}", VARIANTS)
        check_bounds(runs[name], f"estimators.{name}.")
    grid.check(runs)
    return MeasuredGrid(grid, runs)


def _estimators(table: dict[str, Any]) -> dict[str, Any]:
    """The tables of the estimators by name, taken out of the file's."""
    estimators = table.pop("estimators")
    if not isinstance(estimators, dict):
        raise UsageError(
            f"Expected estimators to be a table, got {estimators!r} of type "
            f"{type(estimators).__name__}. Correct its value."
        )
    if not estimators:
        raise UsageError(
            "Expected at least one table in estimators, got none. Add one, for "
            'instance [estimators.rebar] with name = "rebar".'
        )
    return estimators
