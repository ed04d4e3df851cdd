"""A gradient that is known, and the estimators that are measured on it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import Estimator
from jaxdiscrete.experiments.settings.fields import Schedule, bounded, constant


@dataclasses.dataclass(frozen=True)
class Grid:
    """Estimators of a gradient that is known, measured at several temperatures.

    The objective is E[cos z] for one categorical z in {0, ..., K - 1}.
    """

    seed: int = bounded(0, at_least=0)
    """Seed of the samples."""
    logits: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Unnormalised log-probabilities of the classes 0, 1, 2, ..."""
    temperatures: tuple[float, ...] = bounded((0.1, 0.5, 1.0, 2.0), above=0)
    """Temperatures, to which the critical one is added."""
    num_gradients: int = bounded(100_000, at_least=2)
    """Gradient estimates for each estimator and temperature."""


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
