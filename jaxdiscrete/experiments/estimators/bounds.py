"""Bounds of several samples, of log-weights and to be maximised."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax

import jaxdiscrete as jd
from jaxdiscrete.experiments.config.fields import bounded
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    MultiSample,
    WithBaseline,
)


@dataclasses.dataclass(frozen=True)
class Vimco(MultiSample, name="vimco"):
    """VIMCO: a signal of its own for every sample."""

    is_bound: ClassVar[bool] = True

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.vimco(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class MultiSampleNvil(WithBaseline, name="multi_sample_nvil"):
    """One signal for all samples, less a baseline trained by the squared error."""

    baseline_hidden: tuple[int, ...] = bounded((100,), at_least=1)
    """Widths of the baseline's tanh layers; none for no baseline."""
    num_samples: int = bounded(2, at_least=1)
    """Samples per example."""

    is_bound: ClassVar[bool] = True

    @property
    def calls(self) -> int:
        """One call per sample."""
        return self.num_samples

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.multi_sample_nvil(f, self.baseline(cv), num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class LocalDisarm(MultiSample, name="local_disarm"):
    """DisARM's signals for every sample of the bound."""

    is_bound: ClassVar[bool] = True
    is_single_layer: ClassVar[bool] = True
    variables: ClassVar = "binary"

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.local_disarm(f, num_samples=self.num_samples // 2)
