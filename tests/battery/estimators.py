"""Every estimator of the library, one line each, for the common battery."""

import functools

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.facts import Size
from tests.battery.control_variates import critic, initial_cv, surrogate
from tests.battery.entry import Entry
from tests.helpers.parameters import daily


def _t(cv):
    return jnp.exp(cv["log_temperature"])


def _rebar(transform, **extra):
    return lambda f, cv, aux: transform(
        f, temperature=_t(cv), scale=cv["scale"], has_aux=aux, **extra
    )


def _relax(transform, scale=False, **extra):
    def make(f, cv, aux):
        options = extra | ({"scale": cv["scale"]} if scale else {})
        weights = critic(cv["weights"])
        return transform(f, weights, temperature=_t(cv), has_aux=aux, **options)

    return make


def log_mean_exp(values):
    return jax.nn.logsumexp(values) - jnp.log(values.size * jnp.ones(()))


@functools.cache
def bound_of(num_samples):
    """The multi-sample bound itself, by enumeration of every tuple of samples."""

    def oracle(log_weight):
        def value(zs, *args):
            return log_mean_exp(jnp.stack([log_weight(z, *args) for z in zs]))

        def estimate(key, q, *args):
            return jd.exact(value)(key, (q,) * num_samples, *args)

        return estimate

    return oracle


# The first of each package is the one that once_per_package chooses: one that is small
# to trace and still has all that the package gives.
ALL = {
    "reinforce_baseline": Entry(
        "reinforce",
        lambda f, cv, aux: jd.reinforce(f, baseline=cv["baseline"], has_aux=aux),
    ),
    "reinforce": Entry("reinforce", lambda f, cv, aux: jd.reinforce(f, has_aux=aux)),
    "nvil": Entry(
        "nvil",
        lambda f, cv, aux: jd.nvil(
            f,
            baseline=lambda *args: cv["baseline"],
            centre=cv["scale"],
            has_aux=aux,
        ),
    ),
    "dice": Entry(
        "dice",
        lambda f, cv, aux: jd.dice(
            f, baseline=jax.lax.stop_gradient(cv["baseline"]), has_aux=aux
        ),
        higher_order=True,
    ),
    "reinforce_loo": Entry(
        "reinforce_loo",
        lambda f, cv, aux: jd.reinforce_loo(f, num_samples=3, has_aux=aux),
        size=Size(num_samples=3),
    ),
    "disarm": Entry(
        "disarm",
        lambda f, cv, aux: jd.disarm(f, num_samples=4, has_aux=aux),
        size=Size(num_samples=4),
    ),
    "arm": Entry(
        "arm",
        lambda f, cv, aux: jd.arm(f, has_aux=aux),
    ),
    "arms": Entry(
        "arms",
        lambda f, cv, aux: jd.arms(f, num_samples=3, has_aux=aux),
        size=Size(num_samples=3),
    ),
    "arms_gaussian": Entry(
        "arms",
        lambda f, cv, aux: jd.arms(
            f, num_samples=3, copula=jd.gaussian_copula, has_aux=aux
        ),
        size=Size(num_samples=3),
        variant=True,
    ),
    "carms": Entry(
        "carms",
        lambda f, cv, aux: jd.carms(f, num_samples=3, has_aux=aux),
        size=Size(num_samples=3),
    ),
    "disarm_stick_breaking": Entry(
        "disarm_stick_breaking",
        lambda f, cv, aux: jd.disarm_stick_breaking(f, num_samples=2, has_aux=aux),
        size=Size(num_samples=2),
    ),
    "arsm": Entry(
        "arsm",
        lambda f, cv, aux: jd.arsm(f, has_aux=aux),
        size=Size(num_classes=3),
    ),
    "multi_sample_nvil": Entry(
        "bounds.multi_sample_nvil",
        lambda f, cv, aux: jd.bounds.multi_sample_nvil(
            f, baseline=lambda *args: cv["baseline"], num_samples=2, has_aux=aux
        ),
        size=Size(num_samples=2),
        reduce=log_mean_exp,
        oracle=bound_of(2),
    ),
    "vimco": Entry(
        "bounds.vimco",
        lambda f, cv, aux: jd.bounds.vimco(f, num_samples=3, has_aux=aux),
        size=Size(num_samples=3),
        reduce=log_mean_exp,
        oracle=bound_of(3),
    ),
    "local_disarm": Entry(
        "bounds.local_disarm",
        lambda f, cv, aux: jd.bounds.local_disarm(f, num_samples=4, has_aux=aux),
        size=Size(num_samples=4),
        reduce=lambda values: (
            0.5 * (log_mean_exp(values[:2]) + log_mean_exp(values[2:]))
        ),
        oracle=bound_of(2),
    ),
    "reinforce_optimal_baseline": Entry(
        "reinforce_optimal_baseline",
        lambda f, cv, aux: jd.reinforce_optimal_baseline(f, num_samples=3, has_aux=aux),
        size=Size(num_samples=3),
    ),
    "reinforce_running_optimal_baseline": Entry(
        "reinforce_running_optimal_baseline",
        lambda f, cv, aux: jd.reinforce_running_optimal_baseline(
            f, weighted_value=cv["baseline"], weight=cv["scale"], has_aux=aux
        ),
    ),
    "partial_enumeration": Entry(
        "partial_enumeration",
        lambda f, cv, aux: jd.partial_enumeration(
            f, num_states=2, baseline=cv["baseline"], has_aux=aux
        ),
        size=Size(num_samples=2),
        reduce=None,
    ),
    "unordered_set": Entry(
        "unordered_set",
        lambda f, cv, aux: jd.unordered_set(f, num_samples=3, has_aux=aux),
        size=Size(num_samples=3),
        reduce=None,
    ),
    "sum_and_sample": Entry(
        "sum_and_sample",
        lambda f, cv, aux: jd.sum_and_sample(
            f, num_samples=3, baseline=cv["baseline"], has_aux=aux
        ),
        size=Size(num_samples=3),
        reduce=None,
    ),
    "monte_carlo": Entry(
        "reinforce",
        lambda f, cv, aux: jd.monte_carlo(
            jd.reinforce(f, baseline=cv["baseline"], has_aux=aux),
            num_repeats=3,
            has_aux=aux,
        ),
        num_repeats=3,
    ),
    "local_expectation": Entry(
        "local_expectation",
        lambda f, cv, aux: jd.local_expectation(f, has_aux=aux),
    ),
    "measure_valued": Entry(
        "measure_valued",
        lambda f, cv, aux: jd.measure_valued(f, has_aux=aux),
        variant=True,
    ),
    "double_cv": Entry(
        "double_cv",
        lambda f, cv, aux: jd.double_cv(
            f, num_samples=3, scale=cv["scale"], has_aux=aux
        ),
        size=Size(num_samples=3),
    ),
    "rodeo": Entry(
        "rodeo",
        lambda f, cv, aux: jd.rodeo(
            f, surrogate(cv["weights"]), num_samples=3, has_aux=aux
        ),
        size=Size(num_samples=3),
    ),
    "muprop": Entry(
        "muprop",
        lambda f, cv, aux: jd.muprop(
            f, value_scale=cv["scale"], linear_scale=cv["scale"], has_aux=aux
        ),
    ),
    "muprop_second_order": Entry(
        "muprop_second_order",
        lambda f, cv, aux: jd.muprop_second_order(
            f, quadratic_scale=cv["scale"], baseline=cv["baseline"], has_aux=aux
        ),
    ),
    "rebar": Entry("rebar", _rebar(jd.rebar)),
    "rebar_muprop_relaxation": Entry(
        "rebar",
        _rebar(jd.rebar, relaxation=jd.muprop_relaxation),
        variant=True,
    ),
    "rebar_independent": Entry(
        "rebar",
        _rebar(jd.rebar, conditional_noise=jd.independent_noise),
        more_calls=1,
    ),
    "rebar_independent_muprop_relaxation": Entry(
        "rebar",
        _rebar(
            jd.rebar,
            conditional_noise=jd.independent_noise,
            relaxation=jd.muprop_relaxation,
        ),
        more_calls=1,
        variant=True,
    ),
    "relax": Entry("relax", _relax(jd.relax)),
    "relax_scale": Entry(
        "relax_rebar",
        _relax(jd.relax_rebar, scale=True),
    ),
    "relax_independent": Entry(
        "relax", _relax(jd.relax, conditional_noise=jd.independent_noise), variant=True
    ),
    "relax_independent_scale": Entry(
        "relax_rebar",
        _relax(jd.relax_rebar, scale=True, conditional_noise=jd.independent_noise),
        more_calls=1,
    ),
    "control_variate": Entry(
        "control_variate",
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
    ),
    "gumbel_softmax": Entry(
        "gumbel_softmax",
        lambda f, cv, aux: jd.gumbel_softmax(f, temperature=_t(cv), has_aux=aux),
    ),
    "mean_field": Entry(
        "mean_field",
        lambda f, cv, aux: jd.mean_field(f, has_aux=aux),
    ),
    "straight_through": Entry(
        "straight_through",
        lambda f, cv, aux: jd.straight_through(f, has_aux=aux),
    ),
    "half_estimator": Entry(
        "half_estimator",
        lambda f, cv, aux: jd.half_estimator(f, has_aux=aux),
    ),
    "reinmax": Entry(
        "reinmax",
        lambda f, cv, aux: jd.reinmax(f, temperature=_t(cv), has_aux=aux),
    ),
    "gapped_straight_through": Entry(
        "gapped_straight_through",
        lambda f, cv, aux: jd.gapped_straight_through(
            f, temperature=_t(cv), has_aux=aux
        ),
    ),
    "gumbel_rao": Entry(
        "gumbel_rao",
        lambda f, cv, aux: jd.gumbel_rao(
            f, temperature=_t(cv), num_noise=4, has_aux=aux
        ),
    ),
    "decoupled_straight_through": Entry(
        "decoupled_straight_through",
        lambda f, cv, aux: jd.decoupled_straight_through(
            f, forward_temperature=2.0, backward_temperature=_t(cv), has_aux=aux
        ),
    ),
    "straight_through_gumbel_softmax": Entry(
        "straight_through_gumbel_softmax",
        lambda f, cv, aux: jd.straight_through_gumbel_softmax(
            f, temperature=_t(cv), has_aux=aux
        ),
    ),
}


def first_of_each_package(names):
    return {ALL[name].facts.family: name for name in reversed(names)}.values()


def once_per_package(names):
    """Parameters for tests of what a package gives all its estimators alike.

    The first of each package is tested every day, the others with the thorough tests.
    """
    return daily(first_of_each_package(names), names)


MAIN = [name for name, entry in ALL.items() if not entry.variant]
UNBIASED = [name for name, entry in ALL.items() if entry.unbiased]
FIRST = first_of_each_package(MAIN)
BARE = [name for name, entry in ALL.items() if entry.bare]
per_package = pytest.mark.parametrize("name", once_per_package(MAIN))
#: Of the ways in which a gradient is attached: trained by its second moment, through
#: the log-probabilities of samples, and to the leaves of q.
per_mechanism = pytest.mark.parametrize(
    "name", daily(["reinforce_baseline", "reinforce_loo", "disarm"], MAIN)
)
first_order = pytest.mark.parametrize(
    "name",
    daily(
        ["reinforce_baseline", "reinforce_loo", "disarm"],
        [n for n in MAIN if n in UNBIASED and not ALL[n].higher_order],
    ),
)


def build(name, f, cv=None, has_aux=False):
    return ALL[name].make(f, initial_cv() if cv is None else cv, has_aux)
