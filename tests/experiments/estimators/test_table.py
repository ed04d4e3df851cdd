"""Every estimator of the library, by the names that files use."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.facts import ESTIMATORS as FACTS
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.estimators.score_function import Rebar, Reinforce
from jaxdiscrete.experiments.estimators.table import ESTIMATORS, find_estimator
from tests.helpers.parameters import daily

#: They take scores and a solver in place of a distribution, and models have none.
WITHOUT_A_DISTRIBUTION = {"imle", "perturbed_optimizer"}


def test_every_transform_of_the_library_can_be_named():
    reached = {kind.facts.name for kind in ESTIMATORS.values()}
    assert reached == set(FACTS) - WITHOUT_A_DISTRIBUTION
    assert all(FACTS[name].family == "solvers" for name in WITHOUT_A_DISTRIBUTION)


def test_names_are_those_of_their_classes_and_cannot_be_given():
    for name, kind in ESTIMATORS.items():
        assert kind().name == name
        assert dataclasses.asdict(kind())["name"] == name
    with pytest.raises(TypeError):
        Rebar(name="nvil")


def test_an_unknown_name_is_refused_with_those_there_are():
    assert find_estimator({}, "estimator.") is Reinforce
    with pytest.raises(UsageError, match=r"estimator\.name among arm, .*got 'magic'"):
        find_estimator({"name": "magic"}, "estimator.")


@pytest.mark.parametrize(
    ("name", "expected"),
    daily(
        [("disarm", 4), ("reinforce_baseline_at_ones", 2)],
        [
            ("reinforce", 1),
            ("rebar", 6),
            ("relax", 1),
            ("relax_rebar", 2),
            ("reinforce_loo", 5),
            ("disarm", 4),
            ("partial_enumeration", 4),
            ("local_expectation", 1 + 3),
            ("exact", 8),
            ("gumbel_rao", 1),
            ("reinforce_baseline_at_ones", 2),
        ],
    ),
)
def test_calls_of_f_are_those_of_one_gradient(name, expected):
    """The table's number for three bits, and how often f really runs."""
    settings = {
        "rebar": {"num_repeats": 3},
        "reinforce_loo": {"num_samples": 5},
        "disarm": {"num_samples": 4},
        "partial_enumeration": {"num_states": 3},
    }
    estimator = ESTIMATORS[name](**settings.get(name, {}))
    assert estimator.calls_of_f(3, 2) == expected
    nothing, step = jnp.zeros(0), jnp.zeros((), jnp.int32)
    q = jd.Bernoulli(jnp.array([0.3, -0.2, 0.5]))
    cv = estimator.init(jax.random.key(0), LatentSpec(jnp.zeros(3), (3,), nothing))

    def transform(f):
        built = estimator.build(lambda z, inputs: f(z), cv, step)
        return lambda key, q: built(key, q, nothing)

    measured = jd.measure(
        {name: transform},
        jax.random.key(1),
        q,
        f=lambda z: jnp.sum((z - 0.4) ** 2),
        num_gradients=2,
    )
    assert measured.estimators[name].calls == expected


@pytest.mark.thorough
def test_repeats_are_averaged():
    """The variance of the mean of M estimates is the M-th part."""
    q = jd.Bernoulli(jnp.array([0.3, -0.2]))
    nothing, step = jnp.zeros(0), jnp.zeros((), jnp.int32)

    def transform(num_repeats):
        estimator = Reinforce(num_repeats=num_repeats)

        def of(f):
            built = estimator.build(lambda z, inputs: f(z), {}, step)
            return lambda key, q: built(key, q, nothing)

        return of

    measured = jd.measure(
        {"one": transform(1), "four": transform(4)},
        jax.random.key(1),
        q,
        f=lambda z: jnp.sum((z - 0.4) ** 2),
        num_gradients=20_000,
    ).estimators
    ratio = measured["one"].total_variance / measured["four"].total_variance
    assert ratio == pytest.approx(4.0, rel=0.1)
