"""Independent samples, and a signal from all of them."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    LatentSpec,
    MultiSample,
    critic_net,
)
from jaxdiscrete.experiments.settings.fields import bounded


@dataclasses.dataclass(frozen=True)
class ReinforceLoo(MultiSample, name="reinforce_loo"):
    """REINFORCE with the mean of the other samples as baseline."""

    is_joint: ClassVar[bool] = True

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.reinforce_loo(f, num_samples=self.num_samples)

    def build_decision(
        self, f: Any, cv: ControlVariate, step: jax.Array
    ) -> jd.Estimator:
        """Without a baseline: that of the others is the one of the sequences."""
        return jd.reinforce(f)


@dataclasses.dataclass(frozen=True)
class OptimalBaseline(MultiSample, name="reinforce_optimal_baseline"):
    """REINFORCE with the optimal constant of the other samples."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.reinforce_optimal_baseline(f, num_samples=self.num_samples)


@dataclasses.dataclass(frozen=True)
class DoubleCv(MultiSample, name="double_cv"):
    """Leave-one-out with first-order control variates."""

    scale: float = 0.0
    """Initial scale of the control variates, trained by the variance."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The scale."""
        return {"scale": jnp.asarray(self.scale, jnp.float32)}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.double_cv(f, num_samples=self.num_samples, scale=cv["scale"])


@dataclasses.dataclass(frozen=True)
class Rodeo(MultiSample, name="rodeo"):
    """Leave-one-out with Stein control variates of a small network."""

    surrogate_hidden: tuple[int, ...] = bounded((16,), at_least=1)
    """Widths of the surrogate's tanh layers, trained by the variance."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The surrogate, which is zero at first."""
        net = critic_net(self.surrogate_hidden, "tanh")
        return {"surrogate": net.init(key, jnp.zeros(0), jnp.zeros(2))["params"]}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        net = critic_net(self.surrogate_hidden, "tanh")

        def surrogate(value: jax.Array, change: jax.Array, inputs: Any) -> jax.Array:
            del inputs
            both = jnp.stack([value, change])
            output: jax.Array = net.apply(
                {"params": cv["surrogate"]}, jnp.zeros(0), both
            )
            return output

        return jd.rodeo(f, surrogate, num_samples=self.num_samples)
