"""One sample and its score, with a control variate."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.config.fields import bounded
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    Estimator,
    LatentSpec,
    WithBaseline,
    critic_net,
)

RELAXATIONS = {"concrete": jd.concrete, "muprop": jd.muprop_relaxation}


@dataclasses.dataclass(frozen=True)
class Reinforce(Estimator, name="reinforce"):
    """REINFORCE without a baseline."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.reinforce(f)


@dataclasses.dataclass(frozen=True)
class ConstantBaseline(Estimator, name="reinforce_constant_baseline"):
    """REINFORCE with a constant, trained by the variance."""

    baseline: float = 0.0
    """Initial baseline, in nats of the cost."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The constant."""
        return {"baseline": jnp.asarray(self.baseline, jnp.float32)}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.reinforce(f, baseline=cv["baseline"])


@dataclasses.dataclass(frozen=True)
class Dice(Estimator, name="dice"):
    """DiCE, whose first derivative is that of REINFORCE."""

    baseline: float = 0.0
    """Baseline, in nats of the cost; it is not trained."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.dice(f, baseline=self.baseline)


@dataclasses.dataclass(frozen=True)
class Nvil(WithBaseline, name="nvil"):
    """NVIL and its three parts, trained by the squared error."""

    baseline_hidden: tuple[int, ...] = bounded((100,), at_least=1)
    """Widths of the tanh layers of the input-dependent baseline."""
    input_baseline: bool = True
    """Whether there is an input-dependent baseline."""
    centre: bool = True
    """Whether there is a moving-average baseline."""
    normalize: bool = True
    """Whether the signal is divided by its running standard deviation."""

    moving_averages: ClassVar[frozenset[str]] = frozenset({"centre", "variance"})

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The network and the moving averages."""
        cv = super().init(key, latents) if self.input_baseline else {}
        if self.centre:
            cv["centre"] = jnp.zeros(())
        if self.normalize:
            cv["variance"] = jnp.ones(())
        return cv

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.nvil(
            f,
            self.baseline(cv),
            centre=cv.get("centre"),
            variance=cv.get("variance"),
        )


@dataclasses.dataclass(frozen=True)
class RunningOptimalBaseline(Estimator, name="reinforce_running_optimal_baseline"):
    """REINFORCE with moving averages of what makes the optimal constant."""

    moving_averages: ClassVar[frozenset[str]] = frozenset({"weighted_value", "weight"})

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The moving averages of f times the squared score, and of the latter."""
        return {"weighted_value": jnp.zeros(()), "weight": jnp.zeros(())}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.reinforce_running_optimal_baseline(
            f, weighted_value=cv["weighted_value"], weight=cv["weight"]
        )


@dataclasses.dataclass(frozen=True)
class LinearControlVariate(WithBaseline, name="control_variate"):
    """REINFORCE with the sum of the latents, whose mean is known, as control."""

    scale: float = 0.0
    """Initial scale of the sum, trained by the variance."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The baseline, and one scale per latent."""
        scale = jnp.full(latents.shape, self.scale)
        return super().init(key, latents) | {"scale": scale}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        def total(z: jax.Array) -> jax.Array:
            # Of categorical latents, the sum of their classes 0, 1, 2, ...
            if z.ndim > cv["scale"].ndim:
                z = z * jnp.arange(z.shape[-1], dtype=z.dtype)
            return jnp.sum(z)

        return jd.control_variate(
            f,
            lambda z, inputs: total(z),
            lambda q, inputs: total(q.mean()),
            scale=cv["scale"],
            baseline=self.baseline(cv),
        )


@dataclasses.dataclass(frozen=True)
class SimpleMuProp(WithBaseline, name="simple_muprop"):
    """MuProp without its linear term."""

    value_scale: float = 1.0
    """Initial scale of the value at the mean."""

    @property
    def calls(self) -> int:
        """At the sample and at the mean."""
        return 2

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The baseline and the scale."""
        scale = jnp.full(latents.shape, self.value_scale)
        return super().init(key, latents) | {"value_scale": scale}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.muprop(
            f,
            value_scale=cv["value_scale"],
            linear_scale=cv.get("linear_scale", 0.0),
            baseline=self.baseline(cv),
        )


@dataclasses.dataclass(frozen=True)
class MuProp(SimpleMuProp, name="muprop"):
    """MuProp with trained scales."""

    linear_scale: float = 1.0
    """Initial scale of the linear term."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The baseline and both scales."""
        scale = jnp.full(latents.shape, self.linear_scale)
        return super().init(key, latents) | {"linear_scale": scale}


@dataclasses.dataclass(frozen=True)
class MuPropSecondOrder(MuProp, name="muprop_second_order"):
    """MuProp with the quadratic term of the expansion."""

    quadratic_scale: float = 1.0
    """Initial scale of the quadratic term."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The baseline and all scales."""
        scale = jnp.full(latents.shape, self.quadratic_scale)
        return super().init(key, latents) | {"quadratic_scale": scale}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.muprop_second_order(
            f,
            value_scale=cv["value_scale"],
            linear_scale=cv["linear_scale"],
            quadratic_scale=cv["quadratic_scale"],
            baseline=self.baseline(cv),
        )


@dataclasses.dataclass(frozen=True)
class Rebar(WithBaseline, name="rebar"):
    """REBAR with trained scale, and a trained temperature."""

    temperature: float = bounded(0.5, above=0)
    """Initial temperature; its logarithm is trained."""
    scale: float = 1.0
    """Initial scale of the control variate."""
    train_temperature: bool = True
    """Whether the temperature is trained."""
    relaxation: Literal["concrete", "muprop"] = "concrete"
    """Relaxation of the control variate; muprop is the one of REBAR's experiments."""

    looks_below: ClassVar[bool] = True

    @property
    def calls(self) -> int:
        """At the hard and at the relaxed sample."""
        return 2

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The baseline, the scale, and the temperature if it is trained."""
        cv = super().init(key, latents)
        cv["scale"] = jnp.full(latents.shape, self.scale)
        if self.train_temperature:
            temperature = jnp.full(latents.shape, self.temperature)
            cv["log_temperature"] = jnp.log(temperature)
        return cv

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return self.transform_with_relaxed(f, None, cv, step)

    def transform_with_relaxed(
        self, f: Any, relaxed_f: Any, cv: ControlVariate, step: jax.Array
    ) -> jd.Estimator:
        return jd.rebar(
            f,
            temperature=self._temperature(cv),
            scale=cv["scale"],
            baseline=self.baseline(cv),
            relaxed_f=relaxed_f,
            relaxation=RELAXATIONS[self.relaxation],
        )

    def soften(self, q: Any, zeta: jax.Array, cv: ControlVariate) -> jax.Array:
        """The relaxed sample of the control variate."""
        temperature = jnp.asarray(self._temperature(cv))
        if temperature.ndim < zeta.ndim:
            temperature = temperature[..., None]
        return RELAXATIONS[self.relaxation](q, zeta, temperature)

    def _temperature(self, cv: ControlVariate) -> Any:
        if self.train_temperature:
            return jnp.exp(cv["log_temperature"])
        return self.temperature


@dataclasses.dataclass(frozen=True)
class Relax(Estimator, name="relax"):
    """RELAX: REBAR plus a trained critic."""

    temperature: float = bounded(0.5, above=0)
    """Initial temperature; its logarithm is trained."""
    scale: float = 1.0
    """Initial scale of the relaxed objective."""
    critic_hidden: tuple[int, ...] = bounded((64,), at_least=1)
    """Widths of the critic's layers."""
    critic_activation: Literal["tanh", "relu", "leaky_relu"] = "tanh"
    """Activation of the critic's layers."""

    @property
    def calls(self) -> int:
        """At the hard and at the relaxed sample."""
        return 2

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The critic, the temperature and the scale."""
        critic = critic_net(self.critic_hidden, self.critic_activation)
        return {
            "critic": critic.init(key, latents.z, latents.inputs)["params"],
            "log_temperature": jnp.log(jnp.full(latents.shape, self.temperature)),
            "scale": jnp.full(latents.shape, self.scale),
        }

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        net = critic_net(self.critic_hidden, self.critic_activation)
        return jd.relax(
            f,
            lambda z, inputs: net.apply({"params": cv["critic"]}, z, inputs),
            temperature=jnp.exp(cv["log_temperature"]),
            scale=cv["scale"],
        )
