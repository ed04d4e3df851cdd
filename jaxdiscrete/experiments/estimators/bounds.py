"""Bounds of several samples, of log-weights and to be maximised."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    MultiSample,
    WithBaseline,
)
from jaxdiscrete.experiments.estimators.coupled import Antithetic
from jaxdiscrete.experiments.settings.fields import bounded


@dataclasses.dataclass(frozen=True)
class Vimco(MultiSample, name="vimco", of="bounds.vimco"):
    """VIMCO: a signal of its own for every sample."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.bounds.vimco(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class MultiSampleNvil(
    WithBaseline, name="multi_sample_nvil", of="bounds.multi_sample_nvil"
):
    """One signal for all samples, less a baseline trained by the squared error."""

    baseline_hidden: tuple[int, ...] = bounded((100,), at_least=1)
    """Widths of the baseline's tanh layers; none for no baseline."""
    num_samples: int = bounded(2, at_least=1)
    """Samples per example."""

    @property
    def hard_samples(self) -> int:
        """The number of samples."""
        return self.num_samples

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.bounds.multi_sample_nvil(
            f, num_samples=self.num_samples, baseline=self.baseline(cv)
        )


@dataclasses.dataclass(frozen=True)
class LocalDisarm(Antithetic, name="local_disarm", of="bounds.local_disarm"):
    """DisARM's signals for every sample of the bound."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.bounds.local_disarm(f, num_samples=self.num_samples)
