"""The gradient meter against enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.diagnostics.problems import KEY, Q, cubic, loo, measure, rebar
from tests.helpers.samplers import BareSampler
from tests.helpers.trees import flat, flat_rows

READINGS = ("mean", "variance", "signal_to_noise", "bias", "z")


def test_readings_are_those_of_enumeration():
    """REINFORCE has a gradient a state, so all its moments are known."""
    states = Q.enumerate_support()
    p = np.exp(
        np.asarray(jax.jit(jax.vmap(Q.log_prob))(states), np.float64).sum(axis=1)
    )
    scores = jax.jit(jax.vmap(lambda z: jax.grad(lambda q: q.log_prob(z).sum())(Q)))(
        states
    )
    values = np.asarray(jax.jit(jax.vmap(cubic))(states), np.float64)
    g = values[:, None] * flat_rows(scores)
    mean, variance = p @ g, p @ g**2 - (p @ g) ** 2
    length = np.linalg.norm(mean)
    along = g @ mean / length
    cosine = p @ np.divide(
        along, np.linalg.norm(g, axis=1), out=np.zeros(8), where=np.any(g != 0, axis=1)
    )
    directional = np.sqrt((p @ along**2) / (p @ (g**2).sum(1) - p @ along**2))

    result = measure({"reinforce": jd.reinforce}, num_gradients=100_000)
    reading = result.estimators["reinforce"]
    assert result.oracle.is_exact
    np.testing.assert_allclose(result.oracle.mean, mean, rtol=1e-5)
    assert np.all(4.5 * reading.standard_error < 0.06 * np.abs(mean).max())
    assert np.all(np.abs(reading.z) < 4.5)
    np.testing.assert_allclose(reading.bias, reading.mean - mean, atol=1e-6)
    np.testing.assert_allclose(
        reading.standard_error, np.sqrt(variance / 100_000), rtol=0.02
    )
    np.testing.assert_allclose(reading.variance, variance, rtol=0.04)
    deviations = np.square(g - mean).sum(axis=1)
    spread = np.sqrt(p @ deviations**2 - (p @ deviations) ** 2)
    assert reading.total_variance_error == pytest.approx(
        spread / np.sqrt(100_000), rel=0.05
    )
    off = abs(reading.total_variance - variance.sum())
    assert off < 4.5 * reading.total_variance_error < 0.03 * variance.sum()
    np.testing.assert_allclose(
        reading.signal_to_noise, np.abs(mean) / np.sqrt(variance), rtol=0.06
    )
    assert reading.directional_signal_to_noise == pytest.approx(directional, rel=0.02)
    assert reading.cosine == pytest.approx(cosine, abs=0.015)


def test_bias_is_found():
    names = {"gumbel_softmax": lambda f: jd.gumbel_softmax(f, temperature=0.5)}
    names |= {"mean_field": jd.mean_field, "loo": loo, "exact": jd.exact}
    result = measure(names, num_gradients=20_000)
    readings = result.estimators
    assert readings["gumbel_softmax"].max_abs_z > 10
    assert readings["mean_field"].max_abs_z > 1000
    assert readings["mean_field"].total_variance == 0
    assert readings["loo"].max_abs_z < 4.5
    assert readings["exact"].max_abs_z < 4.5
    assert readings["exact"].cosine == pytest.approx(1.0)
    assert readings["exact"].directional_signal_to_noise == np.inf
    expected = (
        flat(jax.jit(jax.grad(jd.mean_field(cubic), 1))(KEY, Q)) - result.oracle.mean
    )
    np.testing.assert_allclose(readings["mean_field"].bias, expected, atol=1e-6)
    assert readings["mean_field"].bias_norm == pytest.approx(np.linalg.norm(expected))


def test_a_baseline_of_the_same_key_is_told():
    def same_key(f):
        def estimate(key, q):
            b = jax.lax.stop_gradient(f(q.sample(key)))
            return jd.reinforce(f, baseline=b)(key, q)

        return estimate

    names = {"same_key": same_key, "mean_field": jd.mean_field, "fine": jd.reinforce}
    (note,) = measure(names, num_gradients=100).notes
    assert note.startswith("same_key is zero for every key, and the oracle is not. A")


def test_calls_of_f_are_counted():
    expected = {
        "reinforce": (jd.reinforce, 1),
        "rebar": (rebar, 2),
        "reinforce_loo": (loo, 3),
        "exact": (jd.exact, 8),
    }
    result = measure({name: entry for name, (entry, _) in expected.items()})
    for name, (_, calls) in expected.items():
        reading = result.estimators[name]
        assert reading.calls == calls
        assert reading.variance_times_calls == calls * reading.total_variance


@pytest.mark.thorough
def test_chunks_change_nothing_but_memory():
    whole = measure({"loo": loo}, num_gradients=100)
    for chunk_size in (7,):
        parts = measure({"loo": loo}, num_gradients=100, chunk_size=chunk_size)
        for name, reading in whole.estimators.items():
            other = parts.estimators[name]
            for field in READINGS:
                np.testing.assert_allclose(
                    getattr(other, field), getattr(reading, field), rtol=1e-4, atol=1e-6
                )
            for field in ("cosine", "directional_signal_to_noise"):
                assert getattr(other, field) == pytest.approx(getattr(reading, field))
            assert other.total_variance_error == pytest.approx(
                reading.total_variance_error
            )


def test_all_estimators_see_the_same_keys():
    result = measure({"one": jd.reinforce, "two": jd.reinforce})
    one, two = result.estimators.values()
    np.testing.assert_array_equal(one.mean, two.mean)


def test_arguments_and_pytrees_and_trained_control_variates():
    q = {"a": jd.Bernoulli(jnp.bfloat16(0.5)), "b": jd.OneHotCategorical(jnp.zeros(3))}

    def f(z, weights):
        return z["a"].astype(jnp.float32) * 2.0 + jnp.dot(z["b"], weights)

    result = measure({"rebar": rebar, "loo": loo}, q, jnp.arange(3.0), f=f)
    assert result.coordinates == (
        "q['a'].logits",
        "q['b'].logits[0]",
        "q['b'].logits[1]",
        "q['b'].logits[2]",
    )
    gradient = jax.jit(jax.grad(jd.exact(f), 1))(KEY, q, jnp.arange(3.0))
    np.testing.assert_allclose(result.oracle.mean, flat(gradient), rtol=1e-6)
    for reading in result.estimators.values():
        assert reading.mean.dtype == np.float64
        assert reading.max_abs_z < 4.5


def test_a_coordinate_without_gradient_is_no_noise():
    q = jd.OneHotCategorical(jnp.array([0.5, 0.0, -jnp.inf]))
    f = lambda z: jnp.dot(z, jnp.array([1.0, 2.0, 3.0]))  # noqa: E731
    reading = measure({"loo": loo}, q, f=f).estimators["loo"]
    assert reading.variance[2] == reading.z[2] == reading.signal_to_noise[2] == 0.0
    assert reading.mean_signal_to_noise == reading.signal_to_noise[:2].mean()


@pytest.mark.thorough
def test_a_random_oracle_counts_with_its_error():
    options = {"oracle": lambda f: loo(f, 10), "num_oracle_gradients": 4000}
    result = measure({"loo": loo}, num_gradients=1000, **options)
    exact = flat(jax.jit(jax.grad(jd.exact(cubic), 1))(KEY, Q))
    oracle, reading = result.oracle, result.estimators["loo"]
    assert str(oracle) == "the mean of 4,000 gradients of the given oracle"
    assert not oracle.is_exact
    assert oracle.num_gradients == 4000
    assert np.all(np.abs(oracle.mean - exact) < 4.5 * oracle.standard_error)
    np.testing.assert_allclose(
        reading.bias_error, np.hypot(reading.standard_error, oracle.standard_error)
    )
    assert (
        measure({"loo": loo}, num_gradients=50, oracle=loo).oracle.num_gradients == 50
    )


def test_an_oracle_that_is_not_random_is_exact():
    result = measure({"loo": loo}, oracle=jd.mean_field)
    assert str(result.oracle) == "exact: the given oracle does not depend on the key"
    assert result.oracle.is_exact
    expected = flat(jax.jit(jax.grad(jd.mean_field(cubic), 1))(KEY, Q))
    np.testing.assert_allclose(result.oracle.mean, expected, rtol=1e-6)


@pytest.mark.thorough
def test_without_an_oracle_there_is_no_bias():
    """Too many states; the direction is then that of the mean."""
    estimators = {"loo": loo}
    result = measure(estimators, max_states=7, num_gradients=20_000)
    known = measure(estimators, max_states=8, num_gradients=20_000)
    assert result.oracle is None
    assert "No oracle, so no bias" in str(result)
    assert "|bias|" not in str(result)
    assert "cosine" not in str(result)
    for name, reading in result.estimators.items():
        assert reading.bias is reading.z is reading.cosine is reading.max_abs_z is None
        with_oracle = known.estimators[name]
        assert reading.calls == with_oracle.calls
        assert reading.directional_signal_to_noise == pytest.approx(
            with_oracle.directional_signal_to_noise, rel=0.05
        )


@pytest.mark.thorough
def test_estimates_are_measured_too():
    """Made already, so that nothing is known of f."""
    result = measure({"reinforce": jd.reinforce(cubic)}, f=None, oracle=jd.exact(cubic))
    reading = result.estimators["reinforce"]
    expected = measure({"reinforce": jd.reinforce}).estimators["reinforce"]
    np.testing.assert_array_equal(reading.mean, expected.mean)
    np.testing.assert_allclose(reading.z, expected.z, rtol=1e-5)
    assert reading.calls is reading.variance_times_calls is None
    assert "calls" not in str(result)
    assert measure({"r": jd.reinforce(cubic)}, f=None).oracle is None


def test_parameters_may_be_any_pytree():
    def cubic_of_two(z):
        return z[0] + 2.0 * z[1]

    def estimate_of_two(key, params):
        return jd.reinforce(cubic_of_two)(key, BareSampler(params["logits"]))

    result = measure({"r": estimate_of_two}, {"logits": jnp.zeros(2)}, f=None)
    assert result.coordinates == ("q['logits'][0]", "q['logits'][1]")


@pytest.fixture(scope="module")
def result():
    names = {
        "reinforce": jd.reinforce,
        "leave-one-out": loo,
        "mean field": jd.mean_field,
    }
    return measure(names, f=lambda z: 5.0 + cubic(z), num_gradients=500)


def test_what_is_not_finite_names_the_estimator():
    f = lambda z: jnp.log(z[0])  # noqa: E731
    good = lambda f: jd.reinforce(cubic)  # noqa: E731
    match = r"finite gradients of 'bad', got -?(nan|inf) in \d+ of 200 samples"
    with pytest.raises(FloatingPointError, match=match):
        measure({"good": good, "bad": jd.reinforce}, f=f, max_states=1)
    with pytest.raises(FloatingPointError, match="finite gradients of 'oracle'"):
        measure({"good": good}, f=f)


@pytest.mark.parametrize(
    ("estimators", "options", "error", "match"),
    [
        ({}, {}, ValueError, "dict of estimators by name.*got {}. Name at least"),
        (jd.reinforce, {}, ValueError, "dict of estimators by name"),
        ({"x": 3}, {}, TypeError, "estimator 'x'.*as transform.*got int. With f=f"),
        (
            {"x": jd.reinforce(cubic)},
            {},
            TypeError,
            r"as transform\(f\), got a function that cannot be \(missing.*With f=f",
        ),
        (
            {"x": lambda f, baseline: lambda key, q: f(baseline)},
            {"f": None},
            TypeError,
            "return a scalar when called as.*got a function. Pass estimates",
        ),
        (
            {"x": rebar},
            {"f": None},
            TypeError,
            "got a function that cannot be.*or transforms.*together with f=f",
        ),
        (
            {"x": lambda f: lambda key, q: q.logits},
            {},
            ValueError,
            "estimator 'x' of jaxdiscrete.measure to return one real scalar",
        ),
        ({"x": loo}, {"oracle": 1}, TypeError, "Expected oracle of.*got int"),
        (
            {"x": loo},
            {"num_gradients": 1},
            ValueError,
            "num_gradients >= 2.*two gradients",
        ),
        ({"x": loo}, {"chunk_size": 0}, ValueError, "chunk_size >= 1"),
        (
            {"x": loo},
            {"num_oracle_gradients": 1},
            ValueError,
            "num_oracle_gradients >= 2",
        ),
    ],
)
def test_bad_input(estimators, options, error, match):
    with pytest.raises(error, match=match):
        measure(estimators, **options)


@pytest.mark.parametrize(
    ("q", "match"),
    [
        ({}, "to hold at least one array, got an empty"),
        (jd.Bernoulli(jnp.array([1])), "floating arrays, got int32. Pass what has no"),
        (BareSampler(jnp.zeros(2)), "got BareSampler.*register_dataclass"),
    ],
)
def test_q_must_be_differentiable(q, match):
    with pytest.raises(TypeError, match=match):
        measure({"x": loo}, q)
