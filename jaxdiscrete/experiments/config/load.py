"""TOML files: the runs of one, and the claim that they check."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxdiscrete as jd
from jaxdiscrete.experiments.config.check import check, check_bounds
from jaxdiscrete.experiments.config.claims import Claim, ShortLength
from jaxdiscrete.experiments.config.fields import Schedule, constant
from jaxdiscrete.experiments.config.read import read, read_table
from jaxdiscrete.experiments.config.settings import Config, Grid
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.base import Estimator
from jaxdiscrete.experiments.estimators.table import find_estimator
from jaxdiscrete.experiments.training.task import Model, find_model

VARIANTS = {Estimator: find_estimator, Model: find_model}


@dataclasses.dataclass(frozen=True)
class MeasuredGrid:
    """A grid and its estimators, at every temperature where they have one."""

    settings: Grid
    estimators: dict[str, Estimator]

    @property
    def runs(self) -> dict[str, Estimator]:
        """Estimators by the names of claims, for instance ``gumbel_softmax_0.5``."""
        critical = jd.critical_temperature(len(self.settings.logits))
        runs = {}
        for name, estimator in self.estimators.items():
            if not hasattr(estimator, "temperature"):
                runs[name] = estimator
                continue
            is_scheduled = isinstance(estimator.temperature, Schedule)
            for t in sorted({*self.settings.temperatures, critical}):
                changes: Any = {"temperature": constant(t) if is_scheduled else t}
                runs[f"{name}_{t:g}"] = dataclasses.replace(estimator, **changes)
        return runs

    @property
    def description(self) -> str:
        """The problem, for reports."""
        return f"one variable of {len(self.settings.logits)} classes"

    @property
    def num_gradients(self) -> int:
        """Gradients of each estimator."""
        return self.settings.num_gradients

    @property
    def seed(self) -> int:
        """Seed of the samples."""
        return self.settings.seed


@dataclasses.dataclass(frozen=True)
class GridFile:
    """The settings of a file with a grid, as the command line knows them."""

    grid: Grid


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One file of a paper: a claim, and the runs or the grid that check it."""

    claim: Claim
    short: ShortLength
    runs: dict[str, Config]
    grid: MeasuredGrid | None = None

    def at_length(self, *, short: bool) -> Experiment:
        """The same experiment at one of its two lengths.

        Args:
          short: which.

        Returns:
          A copy, which keeps what the short length says of seeds and trajectories.
        """
        if not short:
            return self
        runs = {name: c.at_length(self.short) for name, c in self.runs.items()}
        return dataclasses.replace(self, runs=runs)

    def changed(self, change: Callable[[Any], Any]) -> Experiment:
        """The same experiment with other settings.

        Args:
          change: from the settings of a run, or of a file with a grid, to others.

        Returns:
          A copy, checked.

        Raises:
          UsageError: if a value cannot be used.
        """
        if self.grid is not None:
            settings = change(GridFile(self.grid.settings)).grid
            check_bounds(settings, "grid.")
            grid = dataclasses.replace(self.grid, settings=settings)
            return dataclasses.replace(self, grid=grid)
        runs = {name: _checked(change(c)) for name, c in self.runs.items()}
        return dataclasses.replace(self, runs=runs)

    @property
    def names(self) -> list[str]:
        """The names of the runs."""
        return [*(self.runs if self.grid is None else self.grid.runs)]


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
            return {path.stem: _checked(read_table(Config, table, "", VARIANTS))}
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
        _check_names(experiment)
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


def _checked(config: Config) -> Config:
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
            runs[name] = _checked(read_table(Config, one, "", VARIANTS))
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
    if len(grid.logits) < 2:
        raise UsageError(
            f"Expected grid.logits to be at least 2 numbers, got {len(grid.logits)}. "
            "A variable with one class has nothing to estimate."
        )
    runs = {}
    for name, settings in estimators.items():
        runs[name] = read(Estimator, settings, f"estimators.{name}", VARIANTS)
        check_bounds(runs[name], f"estimators.{name}.")
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


def _check_names(experiment: Experiment) -> None:
    claim, short, names = experiment.claim, experiment.short, experiment.names
    used = [p.run for p in claim.published] + [*short.runs, *short.trajectory_runs]
    for e in claim.expectations:
        used += [*e.lower, *e.higher, *e.within]
        # Without both sides there is nothing that could fail.
        if bool(e.lower) != bool(e.higher) or not (e.lower or e.within):
            raise UsageError(
                "Expected lower and higher, or within, in every claim.expectations, "
                f"got neither pair nor range for {e.text!r}. Name the runs."
            )
        if e.within and len(e.range) != 2:
            raise UsageError(
                "Expected range to be two numbers where claim.expectations has within, "
                f"got {list(e.range)}. Give the least and the largest value."
            )
    if short.shared_trajectory:
        used.append(short.shared_trajectory)
    for name in used:
        if name not in names:
            raise UsageError(
                f"Expected runs of claim and short among {', '.join(names)}, got "
                f"{name!r}. Correct the name, or add its table under estimators."
            )
    for name, config in experiment.runs.items():
        block = config.training.steps_per_block
        if short.num_steps % block:
            raise UsageError(
                f"Expected short.num_steps to be a multiple of the steps_per_block "
                f"{block} of {name}, got {short.num_steps}. Change one of them."
            )
    followed = short.trajectory_runs or tuple(names)
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
        measured = followed if e.trajectory else short.runs or tuple(names)
        for name in (*e.lower, *e.higher, *e.within):
            if name not in measured:
                raise UsageError(
                    "Expected runs of claim.expectations among those that are measured "
                    f"at the short length, {', '.join(measured)}, got {name!r}. "
                    "Correct the name, or add it in short."
                )
