"""Gradients that are known, and the untrained estimators that are measured on them."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from tyro.conf import Fixed

import jaxdiscrete as jd
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.base import Estimator
from jaxdiscrete.experiments.settings.fields import Schedule, bounded, constant

#: The problems by their names, filled by the classes themselves.
PROBLEMS: dict[str, type[Grid]] = {}


@dataclasses.dataclass(frozen=True)
class Grid:
    """A problem without training; a subclass with ``problem=`` can be named."""

    problem: Fixed[str] = dataclasses.field(default="", init=False)
    """The problem."""
    seed: int = bounded(0, at_least=0)
    """Seed of the samples."""
    num_gradients: int = bounded(100_000, at_least=2)
    """Gradient estimates in each measurement."""

    def __init_subclass__(cls, problem: str) -> None:
        cls.problem = problem
        PROBLEMS[problem] = cls

    def check(self, estimators: dict[str, Estimator]) -> None:
        """Raises UsageError where nothing could be measured."""
        for estimator in estimators.values():
            if estimator.is_of_gaussian:
                raise UsageError(
                    "Expected estimators of discrete variables with grid.problem = "
                    f"{self.problem!r}, got {estimator.name}, which is one of a "
                    "Gaussian's mean and scale. Choose another."
                )

    def runs(self, estimators: dict[str, Estimator]) -> dict[str, Estimator]:
        """Estimators by the names of claims."""
        return estimators

    @property
    def description(self) -> str:
        """The problem, for reports."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Cosine(Grid, problem="cosine"):
    """E[cos z] for one categorical z in {0, ..., K - 1}, at several temperatures."""

    logits: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Unnormalised log-probabilities of the classes 0, 1, 2, ..."""
    temperatures: tuple[float, ...] = bounded((0.1, 0.5, 1.0, 2.0), above=0)
    """Temperatures, to which the critical one is added."""

    def check(self, estimators: dict[str, Estimator]) -> None:
        """Raises if there is one class."""
        super().check(estimators)
        if len(self.logits) < 2:
            raise UsageError(
                f"Expected grid.logits to be at least 2 numbers, got "
                f"{len(self.logits)}. A variable with one class has nothing to "
                "estimate."
            )

    def runs(self, estimators: dict[str, Estimator]) -> dict[str, Estimator]:
        """At every temperature where they have one: ``gumbel_softmax_0.5``."""
        critical = jd.critical_temperature(len(self.logits))
        runs = {}
        for name, estimator in estimators.items():
            if not hasattr(estimator, "temperature"):
                runs[name] = estimator
                continue
            is_scheduled = isinstance(estimator.temperature, Schedule)
            for t in sorted({*self.temperatures, critical}):
                changes: Any = {"temperature": constant(t) if is_scheduled else t}
                runs[f"{name}_{t:g}"] = dataclasses.replace(estimator, **changes)
        return runs

    @property
    def description(self) -> str:
        """How many classes there are."""
        return f"one variable of {len(self.logits)} classes"


@dataclasses.dataclass(frozen=True)
class RandomSearch(Grid, problem="random_search"):
    """E[sum (z_i - target)^2 + offset] for Bernoulli z at 1/2, of several sizes."""

    target: float = 0.45
    """What every variable should be."""
    sizes: tuple[int, ...] = bounded((4, 16, 64, 256), at_least=1)
    """Numbers of variables, in growing order."""
    offsets: tuple[int, ...] = bounded((0, 10, 100), at_least=0)
    """Constants that are added to the objective, in growing order."""
    offset_size: int = bounded(16, at_least=1)
    """Number of variables where they are, one of the sizes."""

    def check(self, estimators: dict[str, Estimator]) -> None:
        """Raises where there is no exponent or ratio, or no estimate of bits."""
        super().check(estimators)
        for name, values in (("sizes", self.sizes), ("offsets", self.offsets)):
            is_growing = all(a < b for a, b in itertools.pairwise(values))
            if len(values) < 2 or not is_growing:
                raise UsageError(
                    f"Expected grid.{name} to be at least 2 growing numbers, got "
                    f"{list(values)}. Growth is measured between them."
                )
        if self.offset_size not in self.sizes:
            raise UsageError(
                f"Expected grid.offset_size among grid.sizes {list(self.sizes)}, got "
                f"{self.offset_size}. Add it there."
            )
        for estimator in estimators.values():
            needs = estimator.facts.needs.num_classes
            if estimator.is_bound or needs not in (None, 2):
                raise UsageError(
                    "Expected estimators of an expectation over bits with "
                    f"grid.problem = 'random_search', got {estimator.name}. Choose "
                    "another."
                )

    @property
    def description(self) -> str:
        """The sizes."""
        return f"{self.sizes[0]:,} to {self.sizes[-1]:,} Bernoulli variables"


@dataclasses.dataclass(frozen=True)
class MeasuredGrid:
    """A grid and its estimators, checked."""

    settings: Grid
    estimators: dict[str, Estimator]

    @property
    def runs(self) -> dict[str, Estimator]:
        """Estimators by the names of claims."""
        return self.settings.runs(self.estimators)

    @property
    def description(self) -> str:
        """The problem, for reports."""
        return self.settings.description

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


def find_grid(table: dict[str, Any], prefix: str) -> type[Grid]:
    """The settings that ``[grid]`` holds.

    Args:
      table: of a file, with the problem's name if it is not the default one.
      prefix: of the keys' names, for error messages.

    Returns:
      The class of the problem.

    Raises:
      UsageError: if there is no such problem.
    """
    name = table.get("problem", "cosine")
    if name not in PROBLEMS:
        raise UsageError(
            f"Expected {prefix}problem among {', '.join(PROBLEMS)}, got {name!r}. "
            "Choose one of them."
        )
    return PROBLEMS[name]
