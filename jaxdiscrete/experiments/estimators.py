"""Every estimator by its name: its settings, its parameters, how it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import jaxdiscrete as jd
from jaxdiscrete.experiments import settings as s
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.models import apply

#: Parameters of a control variate, by what they are.
ControlVariate = dict[str, Any]


class Example(NamedTuple):
    """One latent and one image, for the shapes of networks."""

    z: jax.Array
    x: jax.Array


class Entry(NamedTuple):
    """What the training job needs to know of one estimator.

    ``init(key, settings, example)`` returns the initial parameters of the control
    variate, ``build(f, control_variate, settings, step)`` the estimator at a
    training step. The parameters named in ``moving_averages`` follow plain SGD.
    """

    settings: type[s.Estimator]
    init: Callable[[jax.Array, Any, Example], ControlVariate]
    build: Callable[[Any, ControlVariate, Any, jax.Array], jd.Estimator]
    moving_averages: frozenset[str] = frozenset()


class BaselineNet(nn.Module):
    """A scalar of the image."""

    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(1)(nn.tanh(nn.Dense(self.hidden)(x)))[..., 0]


class Critic(nn.Module):
    """A scalar of latent and image that is zero at first."""

    hidden: int

    @nn.compact
    def __call__(self, z: jax.Array, x: jax.Array) -> jax.Array:
        both = jnp.concatenate([2.0 * z - 1.0, x])
        features = nn.tanh(nn.Dense(self.hidden)(both))
        # RELAX then starts as REBAR, and departs from it where that helps.
        return nn.Dense(1, kernel_init=nn.initializers.zeros)(features)[0]


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


def _nothing(key: jax.Array, settings: Any, example: Example) -> ControlVariate:
    del key, settings, example
    return {}


def _init_constant(
    key: jax.Array, settings: s.ConstantBaseline, example: Example
) -> ControlVariate:
    del key, example
    return {"baseline": jnp.asarray(settings.baseline, jnp.float32)}


def _init_nvil(
    key: jax.Array, settings: s.NetworkBaseline, example: Example
) -> ControlVariate:
    params = BaselineNet(settings.hidden).init(key, example.x)["params"]
    return {"baseline": params, "centre": jnp.zeros(())}


def _build_nvil(
    f: Any, cv: ControlVariate, settings: s.NetworkBaseline, step: jax.Array
) -> jd.Estimator:
    del step
    net = BaselineNet(settings.hidden)
    return jd.nvil(
        f,
        lambda x: apply(net, cv["baseline"], x),
        centre=cv["centre"],
    )


def _init_muprop(
    key: jax.Array, settings: s.MuProp, example: Example
) -> ControlVariate:
    del key
    return {
        "value_scale": jnp.full_like(example.z, settings.value_scale),
        "linear_scale": jnp.full_like(example.z, settings.linear_scale),
    }


def _init_rebar(key: jax.Array, settings: s.Rebar, example: Example) -> ControlVariate:
    del key
    return {
        "log_temperature": jnp.log(jnp.full_like(example.z, settings.temperature)),
        "scale": jnp.full_like(example.z, settings.scale),
    }


def _build_rebar(
    f: Any, cv: ControlVariate, settings: s.Rebar, step: jax.Array
) -> jd.Estimator:
    del settings, step
    return jd.rebar(f, temperature=jnp.exp(cv["log_temperature"]), scale=cv["scale"])


def _init_relax(key: jax.Array, settings: s.Relax, example: Example) -> ControlVariate:
    critic = Critic(settings.critic_hidden).init(key, example.z, example.x)["params"]
    return _init_rebar(key, settings, example) | {"critic": critic}


def _build_relax(
    f: Any, cv: ControlVariate, settings: s.Relax, step: jax.Array
) -> jd.Estimator:
    del step
    net = Critic(settings.critic_hidden)
    return jd.relax(
        f,
        lambda z, x: apply(net, cv["critic"], z, x),
        temperature=jnp.exp(cv["log_temperature"]),
        scale=cv["scale"],
    )


def _temperature(settings: s.Relaxation, step: jax.Array) -> jax.Array:
    t = settings.temperature
    schedule = optax.exponential_decay(
        t.start, t.num_steps, decay_rate=t.end / t.start, end_value=t.end
    )
    return schedule(step)


ESTIMATORS: dict[str, Entry] = {
    "reinforce": Entry(s.Estimator, _nothing, lambda f, cv, st, step: jd.reinforce(f)),
    "reinforce_constant_baseline": Entry(
        s.ConstantBaseline,
        _init_constant,
        lambda f, cv, st, step: jd.reinforce(f, baseline=cv["baseline"]),
    ),
    "nvil": Entry(s.NetworkBaseline, _init_nvil, _build_nvil, frozenset({"centre"})),
    "reinforce_loo": Entry(
        s.MultiSample,
        _nothing,
        lambda f, cv, st, step: jd.reinforce_loo(f, num_samples=st.num_samples),
    ),
    "reinforce_optimal_baseline": Entry(
        s.MultiSample,
        _nothing,
        lambda f, cv, st, step: jd.reinforce_optimal_baseline(
            f, num_samples=st.num_samples
        ),
    ),
    "muprop": Entry(s.MuProp, _init_muprop, lambda f, cv, st, step: jd.muprop(f, **cv)),
    "rebar": Entry(s.Rebar, _init_rebar, _build_rebar),
    "relax": Entry(s.Relax, _init_relax, _build_relax),
    "gumbel_softmax": Entry(
        s.Relaxation,
        _nothing,
        lambda f, cv, st, step: jd.gumbel_softmax(
            f, temperature=_temperature(st, step)
        ),
    ),
    "straight_through": Entry(
        s.Estimator, _nothing, lambda f, cv, st, step: jd.straight_through(f)
    ),
    "straight_through_gumbel_softmax": Entry(
        s.Relaxation,
        _nothing,
        lambda f, cv, st, step: jd.straight_through_gumbel_softmax(
            f, temperature=_temperature(st, step)
        ),
    ),
    "mean_field": Entry(
        s.Estimator, _nothing, lambda f, cv, st, step: jd.mean_field(f)
    ),
}
