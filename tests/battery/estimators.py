"""Every estimator of the library, one line each, for the common battery."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd


@dataclasses.dataclass(frozen=True)
class Entry:
    """How to build an estimator, and what its docstring promises.

    Attributes:
      make: ``(f, cv, has_aux) -> estimate``; ``cv`` holds the trained arrays.
      calls: how often f runs in one gradient.
      unbiased: whether the gradient is unbiased.
      differentiates: whether f must be differentiable in z.
      bare: whether a sampler with only sample and log_prob is enough.
      multi: whether aux gets a leading axis of samples.
      reduce: what the value is of the values at those samples, or None where it
        weights them by the probabilities of the samples.
      oracle: ``f -> estimate``, whose exact gradient is the expected one.
      kind: the distributions that it takes, a key of KINDS.
      relaxed: whether f sees relaxed values, so that the value is not f(z).
      higher_order: whether its derivatives of every order are estimates, which the
        others refuse to give.
      variant: whether another entry has the same code but for one function, so
        that only what that function changes is tested again.
      built_like: the entry that is built by the same mechanism, which is what gives
        the behaviour under transformations: the everyday suite tests it there, and
        here only with the slow tests.
    """

    make: Callable
    calls: int = 1
    unbiased: bool = True
    differentiates: bool = False
    bare: bool = False
    multi: bool = False
    reduce: Callable | None = jnp.mean
    oracle: Callable = jd.exact
    kind: str = "any"
    relaxed: bool = False
    higher_order: bool = False
    variant: bool = False
    built_like: str | None = None


def critic(weights):
    """A small critic of any pytree of relaxed samples."""

    def apply(z, *args):
        total = 0.0
        for x in jax.tree.leaves(z):
            x = x.astype(weights.dtype)
            ramp = jnp.arange(1, x.size + 1).astype(weights.dtype).reshape(x.shape)
            total = total + jnp.sum(x * ramp) / x.size
        return jnp.tanh(weights[0] * total + weights[1]) * weights[2] + total

    return apply


def surrogate(weights):
    """A small surrogate of f, from a value and a first-order change."""

    def apply(value, change, *args):
        value, change = value.astype(weights.dtype), change.astype(weights.dtype)
        return weights[0] * jnp.tanh(value + weights[2] * change) + weights[1] * change

    return apply


CV = {
    "log_temperature": -0.5,
    "scale": 0.7,
    "baseline": 0.3,
    "variance": 4.0,
    "weights": [0.6, -0.4, 0.9],
}


def initial_cv():
    return jax.tree.map(jnp.float32, CV, is_leaf=lambda x: isinstance(x, float)) | {
        "weights": jnp.array(CV["weights"], jnp.float32)
    }


def _t(cv):
    return jnp.exp(cv["log_temperature"])


def _rebar(transform, **extra):
    return lambda f, cv, aux: transform(
        f, temperature=_t(cv), scale=cv["scale"], has_aux=aux, **extra
    )


def _relax(transform, with_scale):
    def make(f, cv, aux):
        scale = {"scale": cv["scale"]} if with_scale else {}
        weights = critic(cv["weights"])
        return transform(f, weights, temperature=_t(cv), has_aux=aux, **scale)

    return make


def log_mean_exp(values):
    return jax.nn.logsumexp(values) - jnp.log(values.size * jnp.ones(()))


def bound_of(num_samples):
    """The multi-sample bound itself, by enumeration of every tuple of samples."""

    def oracle(log_weight):
        def value(zs, *args):
            return log_mean_exp(jnp.stack([log_weight(z, *args) for z in zs]))

        def estimate(key, q, *args):
            return jd.exact(value)(key, (q,) * num_samples, *args)

        return estimate

    return oracle


ALL = {
    "reinforce": Entry(lambda f, cv, aux: jd.reinforce(f, has_aux=aux), bare=True),
    "reinforce_baseline": Entry(
        lambda f, cv, aux: jd.reinforce(f, baseline=cv["baseline"], has_aux=aux)
    ),
    "nvil": Entry(
        lambda f, cv, aux: jd.nvil(
            f, lambda *args: cv["baseline"], centre=cv["scale"], has_aux=aux
        ),
        bare=True,
    ),
    "dice": Entry(
        lambda f, cv, aux: jd.dice(f, baseline=cv["baseline"], has_aux=aux),
        bare=True,
        higher_order=True,
    ),
    "reinforce_loo": Entry(
        lambda f, cv, aux: jd.reinforce_loo(f, num_samples=3, has_aux=aux),
        calls=3,
        bare=True,
        multi=True,
    ),
    "arm": Entry(
        lambda f, cv, aux: jd.arm(f, has_aux=aux),
        calls=2,
        multi=True,
        kind="binary",
        built_like="disarm",
    ),
    "disarm": Entry(
        lambda f, cv, aux: jd.disarm(f, num_samples=4, has_aux=aux),
        calls=4,
        multi=True,
        kind="binary",
    ),
    "arms": Entry(
        lambda f, cv, aux: jd.arms(f, num_samples=3, has_aux=aux),
        calls=3,
        multi=True,
        kind="binary",
        built_like="disarm",
    ),
    "arms_gaussian": Entry(
        lambda f, cv, aux: jd.arms(
            f, num_samples=3, copula=jd.gaussian_copula, has_aux=aux
        ),
        calls=3,
        multi=True,
        kind="binary",
        variant=True,
    ),
    "carms": Entry(
        lambda f, cv, aux: jd.carms(f, num_samples=3, has_aux=aux),
        calls=3,
        multi=True,
        kind="categorical",
        built_like="disarm_stick_breaking",
    ),
    "disarm_stick_breaking": Entry(
        lambda f, cv, aux: jd.disarm_stick_breaking(f, num_samples=2, has_aux=aux),
        calls=2,
        multi=True,
        kind="categorical",
    ),
    "arsm": Entry(
        lambda f, cv, aux: jd.arsm(f, has_aux=aux),
        calls=4,
        multi=True,
        kind="categorical",
        built_like="disarm_stick_breaking",
    ),
    "vimco": Entry(
        lambda f, cv, aux: jd.vimco(f, num_samples=3, has_aux=aux),
        calls=3,
        bare=True,
        multi=True,
        reduce=log_mean_exp,
        oracle=bound_of(3),
        built_like="reinforce_loo",
    ),
    "multi_sample_nvil": Entry(
        lambda f, cv, aux: jd.multi_sample_nvil(
            f, lambda *args: cv["baseline"], num_samples=2, has_aux=aux
        ),
        calls=2,
        bare=True,
        multi=True,
        reduce=log_mean_exp,
        oracle=bound_of(2),
        built_like="reinforce_loo",
    ),
    "local_disarm": Entry(
        lambda f, cv, aux: jd.local_disarm(f, num_samples=2, has_aux=aux),
        calls=4,
        multi=True,
        reduce=lambda values: (
            0.5 * (log_mean_exp(values[:2]) + log_mean_exp(values[2:]))
        ),
        oracle=bound_of(2),
        kind="binary",
        built_like="disarm",
    ),
    "reinforce_optimal_baseline": Entry(
        lambda f, cv, aux: jd.reinforce_optimal_baseline(f, num_samples=3, has_aux=aux),
        calls=3,
        multi=True,
        built_like="reinforce_loo",
    ),
    "reinforce_running_optimal_baseline": Entry(
        lambda f, cv, aux: jd.reinforce_running_optimal_baseline(
            f, weighted_value=cv["baseline"], weight=cv["scale"], has_aux=aux
        ),
        built_like="nvil",
    ),
    "unordered_set": Entry(
        lambda f, cv, aux: jd.unordered_set(f, num_samples=3, has_aux=aux),
        calls=3,
        multi=True,
        reduce=None,
    ),
    "sum_and_sample": Entry(
        lambda f, cv, aux: jd.sum_and_sample(
            f, num_samples=3, baseline=cv["baseline"], has_aux=aux
        ),
        calls=3,
        multi=True,
        reduce=None,
        built_like="unordered_set",
    ),
    "partial_enumeration": Entry(
        lambda f, cv, aux: jd.partial_enumeration(
            f, num_states=2, baseline=cv["baseline"], has_aux=aux
        ),
        calls=3,
        multi=True,
        reduce=None,
        built_like="unordered_set",
    ),
    "monte_carlo": Entry(
        lambda f, cv, aux: jd.monte_carlo(
            jd.reinforce(f, baseline=cv["baseline"], has_aux=aux),
            num_samples=3,
            has_aux=aux,
        ),
        calls=3,
        multi=True,
    ),
    "local_expectation": Entry(
        lambda f, cv, aux: jd.local_expectation(f, has_aux=aux), calls=4
    ),
    "measure_valued": Entry(
        lambda f, cv, aux: jd.measure_valued(f, has_aux=aux),
        calls=4,
        kind="binary",
        variant=True,
    ),
    "double_cv": Entry(
        lambda f, cv, aux: jd.double_cv(
            f, num_samples=3, scale=cv["scale"], has_aux=aux
        ),
        calls=3,
        differentiates=True,
        multi=True,
    ),
    "rodeo": Entry(
        lambda f, cv, aux: jd.rodeo(
            f, surrogate(cv["weights"]), num_samples=3, has_aux=aux
        ),
        calls=3,
        differentiates=True,
        multi=True,
        kind="binary",
        built_like="double_cv",
    ),
    "muprop": Entry(
        lambda f, cv, aux: jd.muprop(
            f, value_scale=cv["scale"], linear_scale=cv["scale"], has_aux=aux
        ),
        calls=2,
        differentiates=True,
        built_like="rebar",
    ),
    "muprop_second_order": Entry(
        lambda f, cv, aux: jd.muprop_second_order(
            f, quadratic_scale=cv["scale"], baseline=cv["baseline"], has_aux=aux
        ),
        calls=2,
        differentiates=True,
        built_like="rebar",
    ),
    "rebar": Entry(_rebar(jd.rebar), calls=2, differentiates=True),
    "rebar_muprop_relaxation": Entry(
        _rebar(jd.rebar, relaxation=jd.muprop_relaxation),
        calls=2,
        differentiates=True,
        variant=True,
    ),
    "rebar_independent": Entry(
        _rebar(jd.rebar_independent),
        calls=3,
        differentiates=True,
        built_like="rebar",
    ),
    "rebar_independent_muprop_relaxation": Entry(
        _rebar(jd.rebar_independent, relaxation=jd.muprop_relaxation),
        calls=3,
        differentiates=True,
        variant=True,
    ),
    "relax": Entry(_relax(jd.relax, False)),
    "relax_scale": Entry(
        _relax(jd.relax, True),
        calls=2,
        differentiates=True,
        built_like="relax",
    ),
    "relax_independent": Entry(_relax(jd.relax_independent, False), variant=True),
    "relax_independent_scale": Entry(
        _relax(jd.relax_independent, True),
        calls=3,
        differentiates=True,
        built_like="relax",
    ),
    "control_variate": Entry(
        lambda f, cv, aux: jd.control_variate(
            f,
            lambda z, *args: sum(jnp.sum(x) for x in jax.tree.leaves(z)),
            lambda q, *args: sum(
                jnp.sum(d.mean())
                for d in jax.tree.leaves(q, is_leaf=lambda d: hasattr(d, "mean"))
            ),
            scale=cv["scale"],
            has_aux=aux,
        ),
        built_like="reinforce_baseline",
    ),
    "mean_field": Entry(
        lambda f, cv, aux: jd.mean_field(f, has_aux=aux),
        unbiased=False,
        differentiates=True,
        relaxed=True,
        built_like="gumbel_softmax",
    ),
    "gumbel_softmax": Entry(
        lambda f, cv, aux: jd.gumbel_softmax(f, temperature=_t(cv), has_aux=aux),
        unbiased=False,
        differentiates=True,
        relaxed=True,
    ),
    "straight_through": Entry(
        lambda f, cv, aux: jd.straight_through(f, has_aux=aux),
        unbiased=False,
        differentiates=True,
        built_like="gumbel_softmax",
    ),
    "half_estimator": Entry(
        lambda f, cv, aux: jd.half_estimator(f, has_aux=aux),
        unbiased=False,
        differentiates=True,
        kind="binary",
        built_like="straight_through_gumbel_softmax",
    ),
    "reinmax": Entry(
        lambda f, cv, aux: jd.reinmax(f, temperature=_t(cv), has_aux=aux),
        unbiased=False,
        differentiates=True,
        built_like="straight_through_gumbel_softmax",
    ),
    "gapped_straight_through": Entry(
        lambda f, cv, aux: jd.gapped_straight_through(
            f, temperature=_t(cv), has_aux=aux
        ),
        unbiased=False,
        differentiates=True,
        built_like="straight_through_gumbel_softmax",
    ),
    "gumbel_rao": Entry(
        lambda f, cv, aux: jd.gumbel_rao(
            f, temperature=_t(cv), num_samples=4, has_aux=aux
        ),
        unbiased=False,
        differentiates=True,
        built_like="straight_through_gumbel_softmax",
    ),
    "decoupled_straight_through": Entry(
        lambda f, cv, aux: jd.decoupled_straight_through(
            f, forward_temperature=2.0, backward_temperature=_t(cv), has_aux=aux
        ),
        unbiased=False,
        differentiates=True,
        built_like="straight_through_gumbel_softmax",
    ),
    "straight_through_gumbel_softmax": Entry(
        lambda f, cv, aux: jd.straight_through_gumbel_softmax(
            f, temperature=_t(cv), has_aux=aux
        ),
        unbiased=False,
        differentiates=True,
    ),
}


def once_a_mechanism(names):
    """Parameters for tests of what a mechanism gives all its estimators alike."""
    return [
        pytest.param(n, marks=pytest.mark.slow if ALL[n].built_like else ())
        for n in names
    ]


MAIN = [name for name, entry in ALL.items() if not entry.variant]
UNBIASED = [name for name, entry in ALL.items() if entry.unbiased]
BARE = [name for name, entry in ALL.items() if entry.bare]
everything = pytest.mark.parametrize("name", MAIN)
mechanism = pytest.mark.parametrize("name", once_a_mechanism(MAIN))
first_order = pytest.mark.parametrize(
    "name",
    once_a_mechanism(n for n in MAIN if n in UNBIASED and not ALL[n].higher_order),
)


def build(name, f, cv=None, has_aux=False):
    return ALL[name].make(f, initial_cv() if cv is None else cv, has_aux)
