"""Samples that know one another."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

import jaxdiscrete as jd
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    Estimator,
    MultiSample,
)
from jaxdiscrete.experiments.settings.fields import bounded


@dataclasses.dataclass(frozen=True)
class Antithetic(MultiSample):
    """Antithetic pairs of samples."""

    num_samples: int = bounded(2, at_least=2)
    """Samples per example, an even number: two per pair."""

    def check(self) -> None:
        """Raises where one of a pair is missing."""
        if self.num_samples % 2:
            raise UsageError(
                f"Expected estimator.num_samples to be even with {self.name}, whose "
                f"samples are pairs, got {self.num_samples}. Add one."
            )


@dataclasses.dataclass(frozen=True)
class Arm(Estimator, name="arm"):
    """ARM: an antithetic pair that shares its noise."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.arm(f)


@dataclasses.dataclass(frozen=True)
class Disarm(Antithetic, name="disarm"):
    """DisARM: ARM with its noise integrated out."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.disarm(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class Arms(MultiSample, name="arms"):
    """ARMS: several samples of one copula."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.arms(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class Carms(MultiSample, name="carms"):
    """CARMS: ARMS for categorical variables."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.carms(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class Arsm(Estimator, name="arsm"):
    """ARSM: swaps of one noise for categorical variables."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.arsm(f)


@dataclasses.dataclass(frozen=True)
class DisarmStickBreaking(Antithetic, name="disarm_stick_breaking"):
    """DisARM for categorical variables, one stick after the other."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.disarm_stick_breaking(f, num_samples=self.num_samples)
