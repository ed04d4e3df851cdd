"""One sample and its score, with a control variate."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    Estimator,
    LatentSpec,
    WithBaseline,
    critic_net,
)
from jaxdiscrete.experiments.settings.fields import bounded

RELAXATIONS = {
    "concrete": jd.concrete_relaxation,
    "muprop": jd.muprop_relaxation,
}
CONDITIONAL_NOISE = {"tied": jd.tied_noise, "independent": jd.independent_noise}


@dataclasses.dataclass(frozen=True)
class Reinforce(Estimator, name="reinforce"):
    """REINFORCE without a baseline."""

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.reinforce(f)


@dataclasses.dataclass(frozen=True)
class ConstantBaseline(Estimator, name="reinforce_constant_baseline", of="reinforce"):
    """REINFORCE with a constant, trained by the variance."""

    baseline: float = 0.0
    """Initial baseline, in nats of the cost."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The constant."""
        return {"baseline": jnp.asarray(self.baseline, jnp.float32)}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.reinforce(f, baseline=cv["baseline"])


@dataclasses.dataclass(frozen=True)
class BaselineAtOnes(Estimator, name="reinforce_baseline_at_ones", of="reinforce"):
    """REINFORCE with f at a sample of ones as baseline: for a mask, all in sight."""

    @property
    def sees_one_value(self) -> bool:
        """Never: it is told f at ones as well."""
        return False

    def calls_of_f(self, num_variables: int, num_classes: int) -> int:
        """Calls of f in one gradient, that of the baseline among them."""
        return 2 * super().calls_of_f(num_variables, num_classes)

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        def estimate(key: jax.Array, q: Any, *args: Any) -> jax.Array:
            drawn = jax.eval_shape(q.sample, key)
            ones = jax.tree.map(lambda z: jnp.ones(z.shape, z.dtype), drawn)

            def baseline(*args: Any) -> jax.Array:
                return jax.lax.stop_gradient(f(ones, *args))

            value: jax.Array = jd.reinforce(f, baseline=baseline)(key, q, *args)
            return value

        return estimate


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
    """Widths of the layers of the input-dependent baseline."""
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
            baseline=self.baseline(cv),
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
class SimpleMuProp(WithBaseline, name="simple_muprop", of="muprop"):
    """MuProp without its linear term."""

    value_scale: float = 1.0
    """Initial scale of the value at the mean."""

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
    """REBAR with a scale and a temperature that are trained, or stay as they are."""

    temperature: float = bounded(0.5, above=0)
    """Initial temperature; its logarithm is trained."""
    scale: float = 1.0
    """Initial scale of the control variate."""
    train_temperature: bool = True
    """Whether the temperature is trained."""
    train_scale: bool = True
    """Whether the scale is trained."""
    relaxation: Literal["concrete", "muprop"] = "concrete"
    """Relaxation of the control variate; muprop is the one of REBAR's experiments."""
    conditional_noise: Literal["tied", "independent"] = "tied"
    """Noise of the relaxed sample given the hard one: shared, or one of its own."""

    looks_below: ClassVar[bool] = True

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The baseline, and scale and temperature where they are trained."""
        cv = super().init(key, latents)
        if self.train_scale:
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
            scale=cv["scale"] if self.train_scale else self.scale,
            baseline=self.baseline(cv),
            relaxed_f=relaxed_f,
            relaxation=RELAXATIONS[self.relaxation],
            conditional_noise=CONDITIONAL_NOISE[self.conditional_noise],
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
class Relax(WithBaseline, name="relax"):
    """RELAX with a trained critic, of which f may be a black box."""

    temperature: float = bounded(0.5, above=0)
    """Initial temperature; its logarithm is trained."""
    critic_hidden: tuple[int, ...] = bounded((64,), at_least=1)
    """Widths of the critic's layers."""
    critic_activation: Literal["tanh", "relu", "leaky_relu"] = "tanh"
    """Activation of the critic's layers."""
    critic_init: Literal["zero_output", "orthogonal"] = "zero_output"
    """Initial weights of the critic, which is zero at first with zero_output."""
    critic_is_scaled: bool = False
    """Whether a trained factor, 1 at first, multiplies the critic."""
    relaxation: Literal["concrete", "muprop"] = "concrete"
    """Relaxation of the control variate."""
    conditional_noise: Literal["tied", "independent"] = "tied"
    """Noise of the relaxed sample given the hard one: shared, or one of its own."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The baseline, the critic and the temperature."""
        cv = super().init(key, latents) | {
            "critic": self._net.init(key, latents.z, latents.inputs)["params"],
            "log_temperature": jnp.log(jnp.full(latents.shape, self.temperature)),
        }
        return cv | {"critic_scale": jnp.ones(())} if self.critic_is_scaled else cv

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        return jd.relax(f, self._critic(cv), **self._options(cv))

    def _critic(self, cv: ControlVariate) -> Any:
        net, scale = self._net, cv.get("critic_scale", 1.0)
        return lambda z, inputs: scale * net.apply({"params": cv["critic"]}, z, inputs)

    @property
    def _net(self) -> Any:
        return critic_net(self.critic_hidden, self.critic_activation, self.critic_init)

    def _options(self, cv: ControlVariate) -> dict[str, Any]:
        return {
            "temperature": jnp.exp(cv["log_temperature"]),
            "baseline": self.baseline(cv),
            "relaxation": RELAXATIONS[self.relaxation],
            "conditional_noise": CONDITIONAL_NOISE[self.conditional_noise],
        }


@dataclasses.dataclass(frozen=True)
class RelaxRebar(Relax, name="relax_rebar"):
    """RELAX beside REBAR: a trained critic and a scaled relaxation of f."""

    scale: float = 1.0
    """Initial scale of the relaxed objective."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """As for RELAX, and the scale."""
        scale = jnp.full(latents.shape, self.scale)
        return super().init(key, latents) | {"scale": scale}

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        options = self._options(cv)
        return jd.relax_rebar(f, self._critic(cv), scale=cv["scale"], **options)
