"""What training asks of an estimator: settings, parameters, and how it is built."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from tyro.conf import Fixed

import jaxdiscrete as jd
from jaxdiscrete.core.facts import ESTIMATORS as FACTS
from jaxdiscrete.core.facts import Facts, Size
from jaxdiscrete.experiments.settings.fields import Scheduled, bounded, scheduled
from jaxdiscrete.experiments.settings.schedules import value_at

#: Parameters of a control variate, by what they are.
ControlVariate = dict[str, Any]

#: Every estimator by its name, filled by the classes themselves.
REGISTRY: dict[str, type[Estimator]] = {}


class LatentSpec(NamedTuple):
    """A layer to estimate: a sample, the shape of its latents, what infers it."""

    z: jax.Array
    shape: tuple[int, ...]
    inputs: jax.Array


@dataclasses.dataclass(frozen=True)
class Estimator:
    """A gradient estimator: a subclass with ``name=`` can be named in a file.

    Where the library calls it otherwise, ``of=`` is the name in its table of facts. A
    subclass holds settings as fields, and overrides :meth:`transform`, and
    :meth:`init` where something of it is trained.
    """

    name: Fixed[str] = dataclasses.field(default="", init=False)
    """The estimator."""
    num_repeats: int = bounded(1, at_least=1)
    """Independent estimates per layer and example, which are averaged."""

    #: What the library knows of the transform.
    facts: ClassVar[Facts]
    #: Parameters that follow plain gradient descent, as moving averages do.
    moving_averages: ClassVar[frozenset[str]] = frozenset()
    #: Whether all layers of a hierarchy are one sample, instead of one in another.
    is_joint: ClassVar[bool] = False
    #: Whether its control variate takes another function than f: one that relaxes the
    #: layers above, by :meth:`soften`.
    looks_below: ClassVar[bool] = False
    #: Whether it is one of a Gaussian's mean and scale, and of nothing discrete.
    is_of_gaussian: ClassVar[bool] = False
    #: From the costs of a sequence of decisions to what each is credited with.
    credit: ClassVar[Any] = staticmethod(jd.cost_to_go)

    def __init_subclass__(cls, name: str | None = None, of: str | None = None) -> None:
        if name is not None:
            cls.name, cls.facts = name, FACTS[of or name]
            REGISTRY[name] = cls

    @property
    def is_pathwise(self) -> bool:
        """Whether f runs on samples with a gradient path."""
        return self.facts.family == "pathwise"

    @property
    def sees_one_value(self) -> bool:
        """Whether all that it knows of f is the value at one hard sample."""
        return self.facts.family == "score_function" and not self.facts.differentiates

    @property
    def is_bound(self) -> bool:
        """Whether it takes log-weights, and is a bound of several samples."""
        return self.facts.family == "bounds"

    @property
    def hard_samples(self) -> int:
        """The number of samples that it is given, if it is given one."""
        return 1

    def calls_of_f(self, num_variables: int, num_classes: int) -> int:
        """Calls of f in one gradient.

        Args:
          num_variables: of a layer.
          num_classes: of each of them.

        Returns:
          Their number in the estimate of a layer.
        """
        size = Size(self.hard_samples, num_variables, num_classes)
        return self.num_repeats * self.facts.calls.count(size)

    def check(self) -> None:
        """Raises UsageError where settings do not go together."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """Initial parameters of the control variate.

        Args:
          key: PRNG key.
          latents: of a layer.

        Returns:
          By name.
        """
        del key, latents
        return {}

    def build(
        self, f: Any, cv: ControlVariate, step: jax.Array, relaxed_f: Any = None
    ) -> jd.Estimator:
        """The estimator of a layer.

        Args:
          f: the layer's objective.
          cv: its parameters, as from :meth:`init`.
          step: the training step, for schedules.
          relaxed_f: what a control variate evaluates in place of f. Default: f.

        Returns:
          The estimator.
        """
        if relaxed_f is None:
            estimate = self.transform(f, cv, step)
        else:
            estimate = self.transform_with_relaxed(f, relaxed_f, cv, step)
        return self.repeated(estimate)

    def build_decision(
        self, f: Any, cv: ControlVariate, step: jax.Array
    ) -> jd.Estimator:
        """The estimator of one decision of several, in ``hard_samples`` sequences.

        Args:
          f: what follows the decision.
          cv: its parameters, as from :meth:`init`.
          step: the training step, for schedules.

        Returns:
          The estimator.
        """
        return self.build(f, cv, step)

    def repeated(self, estimate: jd.Estimator) -> jd.Estimator:
        """The mean of ``num_repeats`` independent estimates.

        Args:
          estimate: of a layer, or of all layers at once.

        Returns:
          The estimator.
        """
        if self.num_repeats == 1:
            return estimate
        return jd.monte_carlo(estimate, num_repeats=self.num_repeats)

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        """One estimate of f; as :meth:`build`."""
        raise NotImplementedError

    def transform_with_relaxed(
        self, f: Any, relaxed_f: Any, cv: ControlVariate, step: jax.Array
    ) -> jd.Estimator:
        """One estimate of f where ``looks_below``; as :meth:`build`."""
        raise NotImplementedError

    def soften(self, q: Any, zeta: jax.Array, cv: ControlVariate) -> jax.Array:
        """The relaxed sample of a layer that a control variate looks at.

        Args:
          q: the distribution of the layer.
          zeta: its relaxed noise.
          cv: the layer's control variate.

        Returns:
          The sample.
        """
        raise NotImplementedError

    def temperature_at(self, step: jax.Array) -> jax.Array:
        """Temperature of the relaxed sample's density at a training step."""
        del step
        return jnp.ones(())


class EstimatorAtStep(NamedTuple):
    """An estimator at a training step, which its schedules need."""

    settings: Estimator
    step: jax.Array

    def build(
        self, f: Any, control_variate: ControlVariate, relaxed_f: Any = None
    ) -> jd.Estimator:
        """The estimator of a layer; as :meth:`Estimator.build`."""
        return self.settings.build(f, control_variate, self.step, relaxed_f)

    def transform(self, f: Any, control_variate: ControlVariate) -> jd.Estimator:
        """One estimate of a layer; as :meth:`Estimator.transform`."""
        return self.settings.transform(f, control_variate, self.step)

    @property
    def temperature(self) -> jax.Array:
        """Temperature of the relaxed sample's density."""
        return self.settings.temperature_at(self.step)


@dataclasses.dataclass(frozen=True)
class WithBaseline(Estimator):
    """An estimator with a baseline of the inputs, trained by the variance."""

    baseline_hidden: tuple[int, ...] = bounded((), at_least=1)
    """Widths of the baseline's layers, trained by the variance; none for no
    baseline."""
    baseline_activation: Literal["tanh", "relu"] = "tanh"
    """Activation of the baseline's layers."""
    baseline_init: Literal["lecun_normal", "orthogonal"] = "lecun_normal"
    """Initial weights of the baseline."""

    def init(self, key: jax.Array, latents: LatentSpec) -> ControlVariate:
        """The network, if there is one."""
        if not self.baseline_hidden:
            return {}
        return {"baseline": self._baseline_net.init(key, latents.inputs)["params"]}

    def baseline(self, cv: ControlVariate) -> Any:
        """The baseline as a function of the inputs, or None."""
        if "baseline" not in cv:
            return None
        net = self._baseline_net
        return lambda inputs: net.apply({"params": cv["baseline"]}, inputs)

    @property
    def _baseline_net(self) -> Any:
        # Only here: reading a configuration imports no network.
        from jaxdiscrete.experiments.networks import BaselineNet

        return BaselineNet(
            self.baseline_hidden, self.baseline_activation, self.baseline_init
        )


@dataclasses.dataclass(frozen=True)
class MultiSample(Estimator):
    """Several samples, each with a baseline made of the others."""

    num_samples: int = bounded(2, at_least=2)
    """Samples per example."""

    @property
    def hard_samples(self) -> int:
        """The number of samples."""
        return self.num_samples


@dataclasses.dataclass(frozen=True)
class WithTemperature(Estimator):
    """A continuous relaxation at a scheduled temperature."""

    temperature: Scheduled = scheduled(1.0, above=0)
    """Temperature, a number or a schedule."""

    def temperature_at(self, step: jax.Array) -> jax.Array:
        """The scheduled temperature."""
        return value_at(self.temperature, step)


def critic_net(
    hidden: tuple[int, ...], activation: str, init: str = "zero_output"
) -> Any:
    """The network of a critic.

    Args:
      hidden: widths of its layers.
      activation: of its layers.
      init: of its weights. Default: the critic is zero at first.

    Returns:
      A flax module of a sample and the inputs.
    """
    from jaxdiscrete.experiments.networks import Critic

    return Critic(hidden, activation, init)
