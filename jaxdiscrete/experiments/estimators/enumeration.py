"""States counted, exactly or in part."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    Estimator,
    MultiSample,
    WithBaseline,
)
from jaxdiscrete.experiments.settings.fields import bounded


@dataclasses.dataclass(frozen=True)
class Exact(Estimator, name="exact"):
    """The exact gradient, by enumeration of all joint states."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.exact(f)


@dataclasses.dataclass(frozen=True)
class LocalExpectation(Estimator, name="local_expectation"):
    """The expectation over each variable in turn, given a sample of the others."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.local_expectation(f)


@dataclasses.dataclass(frozen=True)
class MeasureValued(Estimator, name="measure_valued"):
    """Measure-valued derivatives of the bits."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.measure_valued(f)


@dataclasses.dataclass(frozen=True)
class UnorderedSet(MultiSample, name="unordered_set"):
    """Samples without replacement, whose order is integrated out."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.unordered_set(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class SumAndSample(WithBaseline, name="sum_and_sample"):
    """Samples without replacement: all but the last are summed exactly."""

    num_samples: int = bounded(2, at_least=1)
    """Samples per example."""

    @property
    def hard_samples(self) -> int:
        """The number of samples."""
        return self.num_samples

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.sum_and_sample(
            f, num_samples=self.num_samples, baseline=self.baseline(cv)
        )


@dataclasses.dataclass(frozen=True)
class PartialEnumeration(WithBaseline, name="partial_enumeration"):
    """The most likely states summed exactly, and one sample of the rest."""

    num_states: int = bounded(1, at_least=1)
    """States that are summed."""

    @property
    def hard_samples(self) -> int:
        """The number of states, to which one sample comes."""
        return self.num_states

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.partial_enumeration(
            f, num_states=self.num_states, baseline=self.baseline(cv)
        )
