"""f differentiated through a sample."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    Estimator,
    WithTemperature,
)
from jaxdiscrete.experiments.settings.fields import Scheduled, bounded, scheduled
from jaxdiscrete.experiments.settings.schedules import value_at


@dataclasses.dataclass(frozen=True)
class GumbelSoftmax(WithTemperature, name="gumbel_softmax"):
    """Gumbel-Softmax, the Concrete relaxation."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.gumbel_softmax(f, temperature=self.temperature_at(step))


@dataclasses.dataclass(frozen=True)
class StraightThroughGumbelSoftmax(
    WithTemperature, name="straight_through_gumbel_softmax"
):
    """The hard sample, differentiated as Gumbel-Softmax."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.straight_through_gumbel_softmax(
            f, temperature=self.temperature_at(step)
        )


@dataclasses.dataclass(frozen=True)
class StraightThrough(Estimator, name="straight_through"):
    """The hard sample, differentiated as a scheduled slope."""

    slope: Scheduled = scheduled(1.0, above=0)
    """Factor of the logits in the derivative, a number or a schedule."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.straight_through(f, slope=value_at(self.slope, step))


@dataclasses.dataclass(frozen=True)
class MeanField(Estimator, name="mean_field"):
    """f at the mean of the sample."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.mean_field(f)


@dataclasses.dataclass(frozen=True)
class HalfEstimator(Estimator, name="half_estimator"):
    """Half of the straight-through derivative, times the probability of the sample."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.half_estimator(f)


@dataclasses.dataclass(frozen=True)
class Reinmax(WithTemperature, name="reinmax"):
    """ReinMax, straight-through of second order."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.reinmax(f, temperature=self.temperature_at(step))


@dataclasses.dataclass(frozen=True)
class GumbelRao(WithTemperature, name="gumbel_rao"):
    """Straight-through Gumbel-Softmax, averaged over the noise given the sample."""

    num_noise: int = bounded(10, at_least=1)
    """Draws of the noise given the hard sample."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.gumbel_rao(
            f, temperature=self.temperature_at(step), num_noise=self.num_noise
        )


@dataclasses.dataclass(frozen=True)
class GappedStraightThrough(WithTemperature, name="gapped_straight_through"):
    """Straight-through with logits moved towards the hard sample."""

    gap: float = bounded(1.0, at_least=0)
    """How far the drawn class lies above the others."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.gapped_straight_through(
            f, temperature=self.temperature_at(step), gap=self.gap
        )


@dataclasses.dataclass(frozen=True)
class DecoupledStraightThrough(Estimator, name="decoupled_straight_through"):
    """Straight-through Gumbel-Softmax with two temperatures."""

    forward_temperature: Scheduled = scheduled(1.0, above=0)
    """Temperature of the hard sample, a number or a schedule."""
    backward_temperature: Scheduled = scheduled(1.0, above=0)
    """Temperature of the derivative, a number or a schedule."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.decoupled_straight_through(
            f,
            forward_temperature=value_at(self.forward_temperature, step),
            backward_temperature=value_at(self.backward_temperature, step),
        )
