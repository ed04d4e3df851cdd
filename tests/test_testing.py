"""The assertion of unbiasedness: what it accepts, rejects and refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.diagnostics.moments import NO_MOMENTS, merge
from jaxdiscrete.testing import assert_mean
from tests.helpers.parameters import daily

KEY = jax.random.key(5)
Q = {"a": jd.Bernoulli(jnp.array([0.3, -0.8]))}


def f(z, t=2.0):
    return t * z["a"][0] - 1.5 * z["a"][1] + z["a"][0] * z["a"][1] ** 3


def check(estimate, oracle=None, *args, num_gradients=80_000, **options):
    oracle = jd.exact(f) if oracle is None else oracle
    options = {"chunk_size": 10_000} | options
    jd.testing.assert_unbiased(
        estimate, oracle, KEY, Q, *args, num_gradients=num_gradients, **options
    )


def group_mean(key, q, t=2.0):
    """Leave-one-out gone wrong: the baseline contains the sample itself."""
    keys = jax.random.split(key, 10)

    def one(k):
        z = jax.lax.stop_gradient({"a": q["a"].sample(k)})
        return f(z, t), q["a"].log_prob(z["a"]).sum()

    values, log_probs = jax.vmap(one)(keys)
    signal = jax.lax.stop_gradient(values - values.mean())
    return jnp.mean(signal * log_probs)


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: jd.reinforce_loo(f, num_samples=4),
        pytest.param(
            lambda f: jd.rebar(f, temperature=0.5, scale=1.0),
            marks=pytest.mark.thorough,
        ),
        jd.exact,
    ],
)
def test_unbiased_estimators_pass(transform):
    check(transform(f))
    check(transform(f), None, 3.0)


def test_a_temperature_is_found():
    match = (
        r"2 of 2 coordinates.*off:\n  q\['a'\].logits\[\d\]: mean .*, expected .*z ="
    )
    with pytest.raises(AssertionError, match=match):
        check(jd.gumbel_softmax(f, temperature=0.5))


def test_a_group_mean_is_found():
    """It scales the gradient by 9/10."""
    with pytest.raises(AssertionError, match="Expected an unbiased gradient, got 2"):
        check(group_mean)


def test_the_worst_coordinate_comes_first():
    exact = jd.exact(f)

    def off(key, q):
        return exact(key, q) + q["a"].logits[0] * 0.01 + q["a"].logits[1]

    with pytest.raises(AssertionError) as error:
        check(off, num_gradients=2)
    first, second = str(error.value).splitlines()[1:]
    assert first.startswith("  q['a'].logits[1]")
    assert second.startswith("  q['a'].logits[0]")


def test_a_test_without_power_says_what_it_needs():
    loo = jd.reinforce_loo(f, num_samples=4)
    with pytest.raises(AssertionError, match="bias of 5%, got an underpowered") as info:
        check(loo, num_gradients=500)
    words = str(info.value).split(" are needed")[0].split()
    needed = int(words[-1].replace(",", ""))
    assert 500 < needed < 60_000
    check(loo, num_gradients=2 * needed)
    check(loo, num_gradients=500, detectable_bias=0.5)


def test_a_bias_is_no_lack_of_power():
    with pytest.raises(AssertionError, match="unbiased gradient"):
        check(jd.mean_field(f), num_gradients=2)


@pytest.mark.thorough
def test_a_random_oracle_brings_its_error():
    loo = jd.reinforce_loo(f, num_samples=4)
    check(jd.reinforce_loo(f, num_samples=8), loo)
    with pytest.raises(AssertionError, match="underpowered"):
        check(jd.exact(f), loo, num_gradients=500)


def test_what_is_not_finite_fails():
    with pytest.raises(AssertionError, match="finite gradients of 'estimate', got nan"):
        check(jd.reinforce(lambda z: f(z) + jnp.nan), num_gradients=2)
    with pytest.raises(AssertionError, match="finite gradients of 'oracle', got nan"):
        check(jd.reinforce(f), jd.exact(lambda z: f(z) + jnp.nan), num_gradients=2)


def test_a_coordinate_of_zero_is_measured_by_the_others():
    """The score of a latent that f does not use has mean zero, and noise."""
    only_first = lambda z: 2.0 * z["a"][0]  # noqa: E731
    oracle = jd.exact(only_first)
    check(jd.reinforce_loo(only_first, num_samples=2), oracle)
    with pytest.raises(AssertionError, match=r"underpowered(.|\n)*logits\[1\]: expec"):
        check(jd.reinforce(only_first), oracle, num_gradients=2000)

    def leaks(key, q):
        return oracle(key, q) + 1e-3 * q["a"].logits[1]

    with pytest.raises(AssertionError, match=r"logits\[1\]: mean 0.00\d+, expected"):
        check(leaks, oracle, num_gradients=2)


def test_moments_are_judged_as_samples():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.normal(1.0, 1.0, 40_000), np.zeros(40_000)], axis=1)
    moments = merge(NO_MOMENTS, rows)
    options = {"k_sigma": 4.5, "detectable_bias": 0.05}
    names, exact = ["x", "y"], np.zeros(2)
    assert_mean(moments, np.array([1.0, 0.0]), exact, names, **options)
    assert_mean(merge(NO_MOMENTS, rows[:, :0]), np.zeros(0), exact[:0], [], **options)
    with pytest.raises(AssertionError, match="x: mean 1"):
        assert_mean(moments, np.array([1.05, 0.0]), exact, names, **options)
    with pytest.raises(AssertionError, match=r"y: mean 0, expected 0\.1, z = inf"):
        assert_mean(moments, np.array([1.0, 0.1]), exact, names, **options)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"num_gradients": 1}, ValueError, "num_gradients >= 2"),
        ({"num_gradients": 2.0}, TypeError, "num_gradients .* Python int, got float"),
        ({"k_sigma": 0.0}, ValueError, "k_sigma > 0, got 0.0. It is a number"),
        (
            {"detectable_bias": -1.0},
            ValueError,
            "detectable_bias > 0, got -1.0. It is a fraction",
        ),
        ({"estimate": jd.reinforce}, TypeError, "cannot be.*Pass an estimate, for"),
        ({"oracle": 3}, TypeError, "Expected oracle of.*assert_unbiased.*got int"),
        ({"q": {}}, TypeError, "empty pytree"),
    ],
)
def test_bad_input(change, error, match):
    estimate = jd.reinforce(f)
    given = {"estimate": estimate, "oracle": estimate, "key": KEY, "q": Q}
    with pytest.raises(error, match=match):
        jd.testing.assert_unbiased(**(given | {"num_gradients": 2} | change))


def shared_loss(transform):
    """A loss of a trunk that the model shares with what trains a control variate."""

    def loss(params, key, stop):
        features = jnp.tanh(params["trunk"])
        of_control = jnp.dot(params["head"], stop(features))
        q = jd.Bernoulli(features)
        return transform(of_control)(key, q) + jnp.sum(params["trunk"] ** 2)

    return loss


SHARED = {
    "baseline": lambda b: jd.reinforce(total, baseline=lambda: b),
    "least squares": lambda b: jd.rebar(
        total, temperature=0.5, baseline=jd.least_squares(lambda: b)
    ),
    "nvil": lambda b: jd.nvil(total, baseline=lambda: b),
    "temperature": lambda b: jd.rebar(total, temperature=jnp.exp(b)),
    "scale": lambda b: jd.rebar(total, temperature=0.5, scale=b),
    "critic": lambda b: jd.relax(total, lambda z: b * z.sum(), temperature=0.5),
}


def total(z):
    return jnp.sum((z - 0.45) ** 2)


@pytest.mark.parametrize("name", daily(["nvil"], SHARED))
def test_shared_features_are_found(name):
    loss = shared_loss(SHARED[name])
    params = {"trunk": jnp.array([0.5, -1.0]), "head": jnp.array([0.3, 0.8])}
    check = jd.testing.assert_control_variates_are_separate
    check(loss, params, KEY, jax.lax.stop_gradient)
    check(jax.jit(loss, static_argnums=2), params, KEY, jax.lax.stop_gradient)
    match = r"params\['trunk'\], trained by both.*Stop what a baseline"
    with pytest.raises(AssertionError, match=match):
        check(loss, params, KEY, lambda h: h)
    with pytest.raises(AssertionError, match=match):
        check(jax.jit(loss, static_argnums=2), params, KEY, lambda h: h)


def test_bad_input_of_separate_control_variates():
    check = jd.testing.assert_control_variates_are_separate
    with pytest.raises(TypeError, match="Expected params of"):
        check(lambda p: p.sum(), jnp.arange(3))
    with pytest.raises(ValueError, match="loss to return one real scalar"):
        check(lambda p: p, jnp.ones(3))
