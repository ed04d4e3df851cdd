"""How often f is traced, alone and under other estimators."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.facts import NEIGHBOURS
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL, once_per_package
from tests.battery.problems import three, three_f
from tests.helpers.parameters import daily

KEY = jax.random.key(5)


def traces(build, q):
    """How often ``jit(grad(estimate))`` calls the Python function f."""
    calls = []

    def f(z, *args):
        calls.append(1)
        return three_f(z, *args)

    estimate = build(f)
    jax.eval_shape(jax.jit(jax.grad(lambda q: estimate(KEY, q))), q)
    return len(calls)


def expected_traces(name):
    """One for each point of evaluation, one to look at a derivative in z."""
    facts = ALL[name].facts
    count = 1 + facts.differentiates + ALL[name].more_calls
    count += facts.is_relaxed and facts.family == "score_function"
    return count + (facts.calls is NEIGHBOURS)


@pytest.mark.parametrize("name", once_per_package(list(ALL)))
def test_f_is_traced_once_per_evaluation_and_once_for_its_derivative(name):
    build = lambda f: ALL[name].make(f, initial_cv(), False)  # noqa: E731
    assert traces(build, three(name)) == expected_traces(name)


def nested(transform, depth, f):
    """``depth`` estimators, each inside the objective of the one before it."""

    def loss(params, key):
        def layer(i, z):
            q = jd.Bernoulli(params[i] + 0.1 * jnp.sum(z))
            if i == depth - 1:
                return transform(f)(jax.random.fold_in(key, i), q)
            inner = lambda z: layer(i + 1, z)  # noqa: E731
            return transform(inner)(jax.random.fold_in(key, i), q)

        return layer(0, jnp.zeros(2))

    return loss


def staged(gradient):
    return lambda *args: jax.eval_shape(gradient, *args)


def nested_traces(transform, depth, run=staged):
    """How often the innermost f of a gradient is called, where it is only traced."""
    calls = []

    def f(z):
        calls.append(1)
        return jnp.sum(z**2)

    loss = nested(transform, depth, f)
    params = jnp.zeros((depth, 2))
    run(jax.grad(loss))(params, KEY)
    return len(calls)


@pytest.mark.parametrize(
    "name",
    daily(
        ["reinforce_loo", "gumbel_softmax", "relax"],
        [
            *("reinforce", "baseline", "nvil", "reinforce_loo"),
            *("gumbel_softmax", "straight_through", "relax"),
        ],
    ),
)
def test_nested_estimators_are_traced_in_linear_time(name):
    transform = {
        "reinforce": jd.reinforce,
        "baseline": lambda f: jd.reinforce(f, baseline=1.0),
        "nvil": lambda f: jd.nvil(f, centre=1.0),
        "reinforce_loo": lambda f: jd.reinforce_loo(f, num_samples=2),
        "gumbel_softmax": lambda f: jd.gumbel_softmax(f, temperature=0.5),
        "straight_through": jd.straight_through,
        "relax": lambda f: jd.relax(f, jnp.sum, temperature=0.5),
    }[name]
    for depth in (1, 4):
        assert nested_traces(transform, depth) <= depth + 1


@pytest.mark.parametrize("deepest", daily([4], [4, 6]))
def test_rebar_with_a_relaxed_f_is_traced_in_linear_time(deepest):
    def transform(f):
        return jd.rebar(f, temperature=0.5, relaxed_f=lambda s: jnp.sum(s**2))

    counts = [nested_traces(transform, depth) for depth in (1, 2, deepest)]
    assert counts == [1, 1, 1]


def test_twenty_nested_estimators_are_traced():
    """Doubling with every layer would be a million traces."""
    assert nested_traces(jd.reinforce, 20) == 1


@pytest.mark.parametrize("depth", daily([3], [3, 6]))
def test_nested_estimators_that_run_at_once_check_one_another(depth):
    """Every layer checks its f before it computes, and the first check is of all."""
    assert nested_traces(jd.reinforce, depth, lambda g: g) == depth + 1


def test_f_is_traced_for_a_check_only_where_something_would_run_before():
    build = lambda f: jd.reinforce_loo(f, num_samples=2)  # noqa: E731
    assert traces(build, jd.Bernoulli(jnp.zeros(3))) == 1
    calls = []
    build(lambda z: calls.append(1) or jnp.sum(z))(KEY, jd.Bernoulli(jnp.zeros(3)))
    assert len(calls) == 2


def test_an_inner_objective_is_checked_in_its_own_words(no_compute):
    """The check of the outer estimator does not hide what is wrong inside."""
    inner = jd.reinforce(lambda z: z)
    outer = jd.reinforce(lambda z: inner(KEY, jd.Bernoulli(z)))
    with pytest.raises(ValueError, match=r"f to return one real scalar, got shape"):
        outer(KEY, jd.Bernoulli(jnp.zeros(2)))


@pytest.mark.parametrize(
    ("returned", "got"),
    [(None, "None"), ({}, "{}"), ("cost", "str"), (jnp.zeros(2), r"shape \(2,\)")],
)
def test_what_f_must_return(returned, got, no_compute):
    with pytest.raises((TypeError, ValueError), match=rf"one real scalar, got .*{got}"):
        jd.reinforce(lambda z: returned)(KEY, jd.Bernoulli(jnp.zeros(2)))
