"""Every estimator by its name: its settings, its parameters, how it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments import settings as s
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.models import BaselineNet, Critic, apply
from jaxdiscrete.experiments.schedules import value_at

#: Parameters of a control variate, by what they are.
ControlVariate = dict[str, Any]

RELAXATIONS = {"concrete": jd.concrete, "muprop": jd.muprop_relaxation}


class Example(NamedTuple):
    """One sample of a layer, the shape of its latents, what it is inferred from."""

    z: jax.Array
    latent_shape: tuple[int, ...]
    inputs: jax.Array


def _nothing(key: jax.Array, settings: Any, example: Example) -> ControlVariate:
    del key, settings, example
    return {}


def _no_temperature(settings: Any, step: jax.Array) -> jax.Array:
    del settings, step
    return jnp.ones(())


class Entry(NamedTuple):
    """What the training job needs to know of one estimator.

    ``build(f, control_variate, settings, step, relaxed_f)`` returns the estimator of a
    layer at a training step; relaxed_f is None at the top layer, and where ``soften``
    is.
    ``init(key, settings, example)`` returns the initial parameters of its control
    variate, of which those named in ``moving_averages`` follow plain SGD.
    ``is_pathwise`` is whether f runs on samples with a gradient path; ``is_joint``
    whether all layers of a hierarchy are one sample. ``soften(q, zeta, control_variate,
    settings)`` relaxes the layers below which a control variate does not look.
    ``temperature(settings, step)`` is that of the relaxed sample's density.
    ``is_binary`` and ``is_categorical`` say which latents alone it takes.
    """

    settings: type[s.Estimator]
    build: Callable[[Any, ControlVariate, Any, jax.Array, Any], jd.Estimator]
    init: Callable[[jax.Array, Any, Example], ControlVariate] = _nothing
    moving_averages: frozenset[str] = frozenset()
    is_pathwise: bool = False
    is_joint: bool = False
    soften: Callable[[Any, jax.Array, ControlVariate, Any], jax.Array] | None = None
    temperature: Callable[[Any, jax.Array], jax.Array] = _no_temperature
    calls_of_f: Callable[[Any], int] = lambda settings: 1
    is_binary: bool = False
    is_categorical: bool = False


class Estimation(NamedTuple):
    """An estimator with its settings, at a training step."""

    entry: Entry
    settings: Any
    step: jax.Array

    def build(
        self, f: Any, control_variate: ControlVariate, relaxed_f: Any = None
    ) -> jd.Estimator:
        """The estimator of a layer.

        Args:
          f: the layer's objective.
          control_variate: its parameters, as from ``entry.init``.
          relaxed_f: what a control variate evaluates in place of f. Default: f.

        Returns:
          The estimator.
        """
        return self.entry.build(f, control_variate, self.settings, self.step, relaxed_f)

    @property
    def temperature(self) -> jax.Array:
        """Of the relaxed sample's density."""
        return self.entry.temperature(self.settings, self.step)


def find_estimator(name: str) -> Entry:
    """The entry of an estimator.

    Args:
      name: as in a configuration file.

    Returns:
      Its entry.

    Raises:
      UsageError: if there is none, listing those there are.
    """
    if name not in ESTIMATORS:
        raise UsageError(
            f"Expected estimator.name among {', '.join(sorted(ESTIMATORS))}, got "
            f"{name!r}. Choose one of them."
        )
    return ESTIMATORS[name]


def _init_constant(
    key: jax.Array, settings: s.ConstantBaseline, example: Example
) -> ControlVariate:
    del key, example
    return {"baseline": jnp.asarray(settings.baseline, jnp.float32)}


def _init_baseline(key: jax.Array, settings: Any, example: Example) -> ControlVariate:
    if not settings.baseline_hidden:
        return {}
    net = BaselineNet(settings.baseline_hidden)
    return {"baseline": net.init(key, example.inputs)["params"]}


def _baseline(cv: ControlVariate, settings: Any) -> Any:
    if "baseline" not in cv:
        return None
    net = BaselineNet(settings.baseline_hidden)
    return lambda inputs: apply(net, cv["baseline"], inputs)


def _init_nvil(key: jax.Array, settings: s.Nvil, example: Example) -> ControlVariate:
    cv = _init_baseline(key, settings, example) if settings.input_baseline else {}
    if settings.centre:
        cv["centre"] = jnp.zeros(())
    if settings.normalize:
        cv["variance"] = jnp.ones(())
    return cv


def _build_nvil(
    f: Any, cv: ControlVariate, settings: s.Nvil, step: jax.Array, relaxed_f: Any
) -> jd.Estimator:
    del step, relaxed_f
    return jd.nvil(
        f,
        _baseline(cv, settings),
        centre=cv.get("centre"),
        variance=cv.get("variance"),
    )


def _init_simple_muprop(
    key: jax.Array, settings: s.SimpleMuProp, example: Example
) -> ControlVariate:
    scale = jnp.full(example.latent_shape, settings.value_scale)
    return _init_baseline(key, settings, example) | {"value_scale": scale}


def _init_muprop(
    key: jax.Array, settings: s.MuProp, example: Example
) -> ControlVariate:
    scale = jnp.full(example.latent_shape, settings.linear_scale)
    return _init_simple_muprop(key, settings, example) | {"linear_scale": scale}


def _build_muprop(
    f: Any, cv: ControlVariate, settings: s.MuProp, step: jax.Array, relaxed_f: Any
) -> jd.Estimator:
    del step, relaxed_f
    return jd.muprop(
        f,
        value_scale=cv["value_scale"],
        linear_scale=cv.get("linear_scale", 0.0),
        baseline=_baseline(cv, settings),
    )


def _init_rebar(key: jax.Array, settings: s.Rebar, example: Example) -> ControlVariate:
    shape = example.latent_shape
    cv = _init_baseline(key, settings, example)
    cv["scale"] = jnp.full(shape, settings.scale)
    if settings.train_temperature:
        cv["log_temperature"] = jnp.log(jnp.full(shape, settings.temperature))
    return cv


def _rebar_temperature(cv: ControlVariate, settings: s.Rebar) -> Any:
    if settings.train_temperature:
        return jnp.exp(cv["log_temperature"])
    return settings.temperature


def _build_rebar(
    f: Any, cv: ControlVariate, settings: s.Rebar, step: jax.Array, relaxed_f: Any
) -> jd.Estimator:
    del step
    return jd.rebar(
        f,
        temperature=_rebar_temperature(cv, settings),
        scale=cv["scale"],
        baseline=_baseline(cv, settings),
        relaxed_f=relaxed_f,
        relaxation=RELAXATIONS[settings.relaxation],
    )


def _soften_rebar(
    q: Any, zeta: jax.Array, cv: ControlVariate, settings: s.Rebar
) -> jax.Array:
    temperature = jnp.asarray(_rebar_temperature(cv, settings))
    if temperature.ndim < zeta.ndim:
        temperature = temperature[..., None]
    return RELAXATIONS[settings.relaxation](q, zeta, temperature)


def _init_relax(key: jax.Array, settings: s.Relax, example: Example) -> ControlVariate:
    shape = example.latent_shape
    critic = Critic(settings.critic_hidden, settings.critic_activation)
    return {
        "critic": critic.init(key, example.z, example.inputs)["params"],
        "log_temperature": jnp.log(jnp.full(shape, settings.temperature)),
        "scale": jnp.full(shape, settings.scale),
    }


def _build_relax(
    f: Any, cv: ControlVariate, settings: s.Relax, step: jax.Array, relaxed_f: Any
) -> jd.Estimator:
    del step, relaxed_f
    net = Critic(settings.critic_hidden, settings.critic_activation)
    return jd.relax(
        f,
        lambda z, inputs: apply(net, cv["critic"], z, inputs),
        temperature=jnp.exp(cv["log_temperature"]),
        scale=cv["scale"],
    )


def _init_double_cv(
    key: jax.Array, settings: s.DoubleCv, example: Example
) -> ControlVariate:
    del key, example
    return {"scale": jnp.asarray(settings.scale, jnp.float32)}


def _temperature(settings: s.Relaxation, step: jax.Array) -> jax.Array:
    return value_at(settings.temperature, step)


ESTIMATORS: dict[str, Entry] = {
    "exact": Entry(s.Estimator, lambda f, cv, st, step, relaxed_f: jd.exact(f)),
    "reinforce": Entry(s.Estimator, lambda f, cv, st, step, relaxed_f: jd.reinforce(f)),
    "reinforce_constant_baseline": Entry(
        s.ConstantBaseline,
        lambda f, cv, st, step, relaxed_f: jd.reinforce(f, baseline=cv["baseline"]),
        _init_constant,
    ),
    "nvil": Entry(
        s.Nvil,
        _build_nvil,
        _init_nvil,
        moving_averages=frozenset({"centre", "variance"}),
    ),
    "reinforce_loo": Entry(
        s.MultiSample,
        lambda f, cv, st, step, relaxed_f: jd.reinforce_loo(
            f, num_samples=st.num_samples
        ),
        is_joint=True,
        calls_of_f=lambda st: st.num_samples,
    ),
    "reinforce_optimal_baseline": Entry(
        s.MultiSample,
        lambda f, cv, st, step, relaxed_f: jd.reinforce_optimal_baseline(
            f, num_samples=st.num_samples
        ),
        calls_of_f=lambda st: st.num_samples,
    ),
    "simple_muprop": Entry(
        s.SimpleMuProp, _build_muprop, _init_simple_muprop, calls_of_f=lambda st: 2
    ),
    "muprop": Entry(s.MuProp, _build_muprop, _init_muprop, calls_of_f=lambda st: 2),
    "rebar": Entry(
        s.Rebar,
        _build_rebar,
        _init_rebar,
        soften=_soften_rebar,
        calls_of_f=lambda st: 2,
    ),
    "relax": Entry(s.Relax, _build_relax, _init_relax, calls_of_f=lambda st: 2),
    "gumbel_softmax": Entry(
        s.Relaxation,
        lambda f, cv, st, step, relaxed_f: jd.gumbel_softmax(
            f, temperature=_temperature(st, step)
        ),
        is_pathwise=True,
        temperature=_temperature,
    ),
    "straight_through": Entry(
        s.StraightThrough,
        lambda f, cv, st, step, relaxed_f: jd.straight_through(
            f, slope=value_at(st.slope, step)
        ),
        is_pathwise=True,
    ),
    "straight_through_gumbel_softmax": Entry(
        s.Relaxation,
        lambda f, cv, st, step, relaxed_f: jd.straight_through_gumbel_softmax(
            f, temperature=_temperature(st, step)
        ),
        is_pathwise=True,
    ),
    "mean_field": Entry(
        s.Estimator,
        lambda f, cv, st, step, relaxed_f: jd.mean_field(f),
        is_pathwise=True,
    ),
    "arm": Entry(
        s.Estimator,
        lambda f, cv, st, step, relaxed_f: jd.arm(f),
        calls_of_f=lambda st: 2,
        is_binary=True,
    ),
    "disarm": Entry(
        s.Antithetic,
        lambda f, cv, st, step, relaxed_f: jd.disarm(f, num_samples=2 * st.num_pairs),
        calls_of_f=lambda st: 2 * st.num_pairs,
        is_binary=True,
    ),
    "arms": Entry(
        s.MultiSample,
        lambda f, cv, st, step, relaxed_f: jd.arms(f, num_samples=st.num_samples),
        calls_of_f=lambda st: st.num_samples,
        is_binary=True,
    ),
    "carms": Entry(
        s.MultiSample,
        lambda f, cv, st, step, relaxed_f: jd.carms(f, num_samples=st.num_samples),
        calls_of_f=lambda st: st.num_samples,
        is_categorical=True,
    ),
    "disarm_stick_breaking": Entry(
        s.Antithetic,
        lambda f, cv, st, step, relaxed_f: jd.disarm_stick_breaking(
            f, num_samples=2 * st.num_pairs
        ),
        calls_of_f=lambda st: 2 * st.num_pairs,
        is_categorical=True,
    ),
    "double_cv": Entry(
        s.DoubleCv,
        lambda f, cv, st, step, relaxed_f: jd.double_cv(
            f, num_samples=st.num_samples, scale=cv["scale"]
        ),
        _init_double_cv,
        calls_of_f=lambda st: st.num_samples,
    ),
    "unordered_set": Entry(
        s.MultiSample,
        lambda f, cv, st, step, relaxed_f: jd.unordered_set(
            f, num_samples=st.num_samples
        ),
        calls_of_f=lambda st: st.num_samples,
    ),
    "half_estimator": Entry(
        s.Estimator,
        lambda f, cv, st, step, relaxed_f: jd.half_estimator(f),
        is_pathwise=True,
        is_binary=True,
    ),
    "reinmax": Entry(
        s.Relaxation,
        lambda f, cv, st, step, relaxed_f: jd.reinmax(
            f, temperature=_temperature(st, step)
        ),
        is_pathwise=True,
    ),
    "gumbel_rao": Entry(
        s.GumbelRao,
        lambda f, cv, st, step, relaxed_f: jd.gumbel_rao(
            f, temperature=_temperature(st, step), num_samples=st.num_samples
        ),
        is_pathwise=True,
    ),
    "gapped_straight_through": Entry(
        s.GappedStraightThrough,
        lambda f, cv, st, step, relaxed_f: jd.gapped_straight_through(
            f, temperature=_temperature(st, step), gap=st.gap
        ),
        is_pathwise=True,
    ),
    "decoupled_straight_through": Entry(
        s.DecoupledStraightThrough,
        lambda f, cv, st, step, relaxed_f: jd.decoupled_straight_through(
            f,
            forward_temperature=value_at(st.forward_temperature, step),
            backward_temperature=value_at(st.backward_temperature, step),
        ),
        is_pathwise=True,
    ),
}
