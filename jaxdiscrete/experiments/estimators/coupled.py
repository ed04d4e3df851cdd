"""Samples that know one another."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax

import jaxdiscrete as jd
from jaxdiscrete.experiments.config.fields import bounded
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    Estimator,
    MultiSample,
)


@dataclasses.dataclass(frozen=True)
class Antithetic(Estimator):
    """Antithetic pairs of samples."""

    num_pairs: int = bounded(1, at_least=1)
    """Pairs per example, two samples each."""

    @property
    def calls(self) -> int:
        """One call per sample."""
        return 2 * self.num_pairs


@dataclasses.dataclass(frozen=True)
class Arm(Estimator, name="arm"):
    """ARM: an antithetic pair that shares its noise."""

    variables: ClassVar = "binary"

    @property
    def calls(self) -> int:
        """One call per sample of the pair."""
        return 2

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.arm(f)


@dataclasses.dataclass(frozen=True)
class Disarm(Antithetic, name="disarm"):
    """DisARM: ARM with its noise integrated out."""

    variables: ClassVar = "binary"

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.disarm(f, num_samples=2 * self.num_pairs)


@dataclasses.dataclass(frozen=True)
class Arms(MultiSample, name="arms"):
    """ARMS: several samples of one copula."""

    variables: ClassVar = "binary"

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.arms(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class Carms(MultiSample, name="carms"):
    """CARMS: ARMS for categorical variables."""

    variables: ClassVar = "categorical"

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.carms(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class Arsm(Estimator, name="arsm"):
    """ARSM: swaps of one noise for categorical variables."""

    variables: ClassVar = "categorical"

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.arsm(f)


@dataclasses.dataclass(frozen=True)
class DisarmStickBreaking(Antithetic, name="disarm_stick_breaking"):
    """DisARM for categorical variables, one stick after the other."""

    variables: ClassVar = "categorical"

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.disarm_stick_breaking(f, num_samples=2 * self.num_pairs)
