"""Subsets of fixed size: their law, their relaxation, and who takes them."""

import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL
from tests.helpers.parameters import daily
from tests.helpers.statistics import (
    K_SIGMA,
    assert_unbiased,
    exact_gradient,
    gradient_samples,
    map_in_chunks,
)
from tests.helpers.trees import all_finite, assert_close

KEY = jax.random.key(0)
LOGITS = jnp.array([0.3, -1.2, 0.5, 1.4, -0.2])
MASKED = jnp.array([[0.3, -1.2, -jnp.inf, 1.4], [0.0, 0.5, 1.0, -0.5]])

# Methods as programs: one by one their operations take longer than all tests here.
sample = jax.jit(lambda q: q.sample(KEY))
states_of = jax.jit(lambda q: q.enumerate_support())
log_prob = jax.jit(lambda q, z: q.log_prob(z))
slope_of_log_prob = jax.jit(jax.grad(lambda q, z: q.log_prob(z)))
slopes_of_log_prob = jax.jit(
    jax.vmap(jax.grad(lambda q, z: q.log_prob(z)), in_axes=(None, 0))
)


def ordered(logits, z, k):
    """The probability of a subset as the sum over the orders of its items."""
    items = jax.lax.top_k(z, k)[1][np.array(list(itertools.permutations(range(k))))]
    p = jax.nn.softmax(logits)[items]
    left = 1.0 - jnp.cumsum(p, axis=-1) + p
    return jnp.sum(jnp.prod(p / left, axis=-1))


@pytest.mark.parametrize("k", daily([4], [2, 4]))
def test_log_prob_and_its_derivative_are_those_of_the_sum_over_orders(k):
    states = states_of(jd.Subset(LOGITS, k))
    assert len(states) == jd.Subset(LOGITS, k).num_states == math.comb(5, k)
    assert len(np.unique(np.asarray(states), axis=0)) == len(states)
    assert np.all(states.sum(axis=-1) == k)

    def ours(logits):
        return jd.Subset(logits, k).log_prob(states)

    def expected(logits):
        return jnp.log(jax.vmap(lambda z: ordered(logits, z, k))(states))

    values, slopes = jax.jit(
        lambda x: (
            [f(x) for f in (ours, expected)],
            [jax.jacrev(f)(x) for f in (ours, expected)],
        )
    )(LOGITS)
    assert_close(*values, rtol=1e-5, atol=1e-5)
    assert_close(*slopes, rtol=1e-4, atol=1e-5)


def test_log_prob_in_double_precision(x64):
    logits = jnp.asarray(LOGITS, jnp.float64)
    states = jd.Subset(logits, 3).enumerate_support()
    expected = jnp.log(jax.jit(jax.vmap(lambda z: ordered(logits, z, 3)))(states))
    actual = log_prob(jd.Subset(logits, 3), states)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_samples_have_the_probability_of_their_log_prob():
    q = jd.Subset(MASKED, 2)
    num = 100_000
    z = map_in_chunks(q.sample, jax.random.split(KEY, num))
    for row in range(2):
        one = jd.Subset(MASKED[row], 2)
        states = np.asarray(states_of(one))
        expected = np.exp(np.float64(log_prob(one, states)))
        frequency = (np.asarray(z)[:, row, None] == states).all(-1).mean(axis=0)
        se = np.sqrt(expected * (1.0 - expected) / num)
        assert np.all(np.abs(frequency - expected) <= K_SIGMA * se)
        possible = expected > 0
        assert possible.sum() == (3 if row == 0 else 6)
        assert np.all(K_SIGMA * se[possible] < 0.1 * expected[possible])


def test_rows_are_independent():
    q = jd.Subset(MASKED, 2)
    states = states_of(q)
    assert states.shape == (36, 2, 4)
    assert q.num_states == 36
    assert q.batch_shape == (2,)
    log_probs = log_prob(q, states)
    assert log_probs.shape == (36, 2)
    np.testing.assert_allclose(np.exp(log_probs.sum(axis=-1)).sum(), 1.0, rtol=1e-5)
    for row in range(2):
        one = jd.Subset(MASKED[row], 2)
        assert_close(log_probs[:, row], log_prob(one, states[:, row]))
        assert jax.eval_shape(one.log_prob, states[0, row]).shape == ()


def test_masked_items():
    q = jd.Subset(MASKED[0], 3)
    states = states_of(q)
    is_possible = np.asarray(states[:, 2] == 0)
    assert is_possible.sum() == 1
    assert_close(log_prob(q, states), np.where(is_possible, 0.0, -np.inf))
    assert np.all(slopes_of_log_prob(q, states).logits == 0.0)
    assert np.all(sample(q) == np.asarray(states)[is_possible][0])
    pair = jd.Subset(MASKED[0], 2)
    slope = slope_of_log_prob(pair, jnp.array([1.0, 1.0, 0.0, 0.0])).logits
    assert all_finite(slope)
    assert slope[2] == 0.0


def test_all_items_are_certain():
    q = jd.Subset(LOGITS, 5)
    z = jnp.ones(5)
    assert np.all(sample(q) == z)
    assert log_prob(q, z) == 0.0
    assert np.all(slope_of_log_prob(q, z).logits == 0.0)
    assert_close(states_of(q), z[None])


@pytest.mark.thorough
def test_one_item_is_a_one_hot():
    q, one_hot = jd.Subset(MASKED, 1), jd.OneHotCategorical(MASKED)
    states = one_hot.enumerate_support()
    assert_close(q.enumerate_support(), states)
    assert_close(
        log_prob(q, states), jax.jit(jax.vmap(one_hot.log_prob))(states), atol=1e-5
    )
    zeta = q.relaxed_sample(KEY)
    assert_close(zeta, one_hot.relaxed_sample(KEY))
    assert_close(q.threshold(zeta), one_hot.threshold(zeta))
    assert_close(q.relax(zeta, 0.7), one_hot.relax(zeta, 0.7))


def test_what_is_not_k_hot_is_impossible():
    z = [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.5, 0.5], [2.0, 0.0, 0.0]]
    assert np.isneginf(log_prob(jd.Subset(jnp.zeros(3), 2), jnp.array(z))).all()


def test_too_few_possible_items_are_never_silent():
    logits = jnp.array([[0.0, -jnp.inf, -jnp.inf], [0.0, 1.0, -jnp.inf]])
    z = jax.jit(lambda x: jd.Subset(x, 2).sample(KEY))(logits)
    assert np.isnan(z[0]).all()
    assert_close(z[1], [1.0, 1.0, 0.0])
    assert jnp.isnan(log_prob(jd.Subset(logits, 2), z)[0])
    estimate = jd.reinforce_loo(lambda z: z[0, 0], num_samples=2)
    assert jnp.isnan(jax.jit(lambda x: estimate(KEY, jd.Subset(x, 2)))(logits))


@pytest.mark.parametrize("size", daily([1e4], [80.0, 1e4]))
def test_extreme_logits(size):
    q = jd.Subset(jnp.array([size, 0.0, -size, 0.5, -size]), 3)
    states = states_of(q)
    value = log_prob(q, states)
    np.testing.assert_allclose(np.exp(value).sum(), 1.0, rtol=1e-5)
    slopes = jax.jit(jax.jacrev(lambda q: q.log_prob(states)))(q)
    relaxed = jax.jit(jax.jacrev(lambda q: q.relax(q.relaxed_sample(KEY), 0.1)))(q)
    assert all_finite((value, slopes, relaxed))
    assert_close(sample(q), [1.0, 1.0, 0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    "dtype", daily(["bfloat16"], ["bfloat16", "float16", "float32"])
)
def test_dtypes(dtype):
    q = jd.Subset(LOGITS.astype(dtype), 2)
    zeta = q.relaxed_sample(KEY)
    assert zeta.dtype == jnp.float32
    z = q.threshold(zeta)
    for x in (z, q.sample(KEY), q.relax(zeta, 0.5), log_prob(q, z)):
        assert x.dtype == dtype
    assert q.enumerate_support().dtype == dtype
    expected = log_prob(jd.Subset(LOGITS, 2), z.astype(jnp.float32))
    assert_close(log_prob(q, z), expected, rtol=2e-2)


def test_relaxed_sample_sums_to_k_and_tends_to_the_threshold():
    q = jd.Subset(MASKED, 2)
    zeta = jax.jit(jax.vmap(q.relaxed_sample))(jax.random.split(KEY, 200))
    z = jax.jit(jax.vmap(q.threshold))(zeta)
    assert np.all(z.sum(axis=-1) == 2)
    distances = []
    relax = jax.jit(jax.vmap(q.relax, (0, None)))
    for temperature in (10.0, 1.0, 0.1, 0.01, 1e-3):
        s = relax(zeta, temperature)
        np.testing.assert_allclose(s.sum(axis=-1), 2.0, rtol=1e-5)
        assert np.all(np.asarray(s)[:, 0, 2] == 0.0)
        distances.append(float(jnp.abs(s - z).mean()))
    assert np.all(np.diff(distances) < 0)
    assert distances[-1] < 1e-3
    spread = relax(zeta, jnp.array([[0.1], [10.0]]))
    assert_close(spread[:, 0], relax(zeta, 0.1)[:, 0])
    assert_close(spread[:, 1], relax(zeta, 10.0)[:, 1])


@pytest.mark.parametrize("temperature", [1e-3, 0.5])
def test_derivative_of_the_relaxed_sample(temperature):
    q = jd.Subset(MASKED, 2)

    def relaxed(q):
        return q.relax(q.relaxed_sample(KEY), temperature)

    slope = jax.jit(jax.jacrev(relaxed))(q).logits
    assert all_finite(slope)
    assert np.all(np.asarray(slope)[..., 0, 2] == 0.0)
    if temperature == 0.5:
        step = 1e-2
        move = jax.jit(lambda e: relaxed(jd.Subset(MASKED.at[1, 3].add(e), 2)))
        difference = (move(step) - move(-step)) / (2.0 * step)
        assert_close(slope[..., 1, 3], difference, rtol=1e-2, atol=1e-3)


def f(z, t=1.0):
    return t * (jnp.dot(z, jnp.array([4.0, -5.0, 5.0, -2.0, -4.0])) - z[0] * z[3] ** 2)


def test_leave_one_out_is_unbiased():
    q = jd.Subset(LOGITS, 2)
    samples = gradient_samples(jd.reinforce_loo(f, num_samples=3), q, num=100_000)
    assert_unbiased(samples, exact_gradient(f, q))


@pytest.mark.thorough
def test_other_score_function_estimators_take_subsets():
    q = jd.Subset(LOGITS, 2)
    g = lambda z: (f(z), z)  # noqa: E731
    for estimate in (
        jd.reinforce(g, baseline=2.0, has_aux=True),
        jd.reinforce(g, baseline=jnp.array(2.0), has_aux=True),
        jd.nvil(g, baseline=jnp.array(2.0), has_aux=True),
    ):
        gradient, z = jax.jit(jax.grad(estimate, 1, has_aux=True))(KEY, q)
        expected = (f(z) - 2.0) * slope_of_log_prob(q, z).logits
        assert_close(gradient.logits, expected, rtol=1e-4, atol=1e-5)


def test_exact_is_the_sum_over_subsets():
    q = jd.Subset(LOGITS, 2)
    states = states_of(q)

    def expectation(logits):
        p = jax.vmap(lambda z: ordered(logits, z, 2))(states)
        return jnp.dot(p, jax.vmap(f)(states))

    def loss(logits):
        return jd.exact(f)(KEY, jd.Subset(logits, 2))

    def derivatives(f):
        return lambda x: (f(x), jax.grad(f)(x), jax.hessian(f)(x))

    ours, theirs = jax.jit(
        lambda x: (derivatives(loss)(x), derivatives(expectation)(x))
    )(LOGITS)
    assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["gumbel_softmax", "straight_through_gumbel_softmax"])
def test_relaxations_take_subsets(name):
    q = {"a": jd.Subset(MASKED, 2), "b": jd.Bernoulli(jnp.zeros(2))}

    def g(z):
        return jnp.sum(z["a"] ** 2) + jnp.sum(z["a"][0, :2] * z["b"]), z

    temperature = {"a": jnp.array([0.5, 1.0]), "b": 0.7}
    estimate = getattr(jd, name)(g, temperature=temperature, has_aux=True)
    gradient, z = jax.jit(jax.grad(estimate, 1, has_aux=True))(KEY, q)
    assert all_finite(gradient)
    assert gradient["a"].logits[0, 2] == 0.0
    assert jnp.any(gradient["a"].logits != 0.0)
    np.testing.assert_allclose(z["a"].sum(axis=-1), 2.0, rtol=1e-5)
    is_hard = np.isin(np.asarray(z["a"]), (0.0, 1.0)).all()
    assert is_hard == (name == "straight_through_gumbel_softmax")


REFUSE = {
    "relaxation but no mean and no conditional": (
        "mean_field",
        "muprop",
        "rebar",
        "relax",
        "straight_through",
    ),
    "no classes": (
        "arm",
        "disarm",
        "unordered_set",
        "sum_and_sample",
        "partial_enumeration",
    ),
}


@pytest.mark.parametrize(
    ("name", "match"), [(n, text) for text, names in REFUSE.items() for n in names]
)
def test_others_refuse_subsets(name, match):
    estimate = ALL[name].make(jnp.sum, initial_cv(), False)
    with pytest.raises(TypeError, match=match):
        estimate(KEY, jd.Subset(LOGITS, 2))


@pytest.mark.thorough
def test_a_control_variate_needs_only_its_mean():
    q, weights = jd.Subset(LOGITS, 2), jnp.linspace(-1.0, 1.0, LOGITS.shape[-1])

    def f(z):  # What the control does not explain is a small part.
        return z @ weights + 0.01 * (z @ weights) ** 2

    def mean(q):
        states = q.enumerate_support()
        return jnp.exp(q.log_prob(states)) @ (states @ weights)

    estimate = jd.control_variate(f, lambda z: z @ weights, mean)
    jd.testing.assert_unbiased(estimate, jd.exact(f), KEY, q, num_gradients=20_000)


def test_protocols():
    q = jd.Subset(LOGITS, 2)
    assert isinstance(q, jd.Reparametrisable)
    assert not isinstance(q, jd.Relaxable)


def test_a_pytree_with_a_static_size():
    q = jd.Subset(MASKED, 2)
    assert [x.shape for x in jax.tree.leaves(q)] == [(2, 4)]
    assert jax.tree.map(lambda x: 2.0 * x, q).k == 2
    logits = jax.random.normal(KEY, (6, 5))
    keys = jax.random.split(KEY, 6)
    estimate = jd.reinforce_loo(f, num_samples=2)
    gradient = jax.grad(estimate, 1)

    @jax.jit
    def mapped_and_row(q):
        one = jax.tree.map(lambda x: x[1], q)
        return jax.vmap(gradient)(keys, q), gradient(keys[1], one)

    mapped, row = mapped_and_row(jd.Subset(logits, 3))
    assert_close(mapped.logits[1], row.logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("q", "error", "match"),
    [
        (jd.Subset(LOGITS, 6), ValueError, r"Expected k <= n = 5, .* got k = 6\. Ask"),
        (jd.Subset(LOGITS, 0), ValueError, r"k >= 1 in jaxdiscrete\.Subset, got 0"),
        (jd.Subset(LOGITS, 2.0), TypeError, "k of jaxdiscrete.Subset to be a Python"),
        (jd.Subset(jnp.arange(3), 2), TypeError, "Subset logits of a floating dtype"),
        (jd.Subset(jnp.zeros((2, 0)), 1), ValueError, "at least one entry, got shape"),
        (jd.Subset(jnp.float32(0.0), 1), ValueError, r"shape \[..., n\], got a scalar"),
        (
            jd.Subset(jnp.array([[0.0, 1.0, 2.0], [0.0, -jnp.inf, -jnp.inf]]), 2),
            ValueError,
            "at least k = 2 items above -inf in every row .* a row with 1",
        ),
    ],
)
def test_bad_input(q, error, match):
    with pytest.raises(error, match=match):
        jd.reinforce(lambda z: jnp.sum(z))(KEY, q)


def test_samples_of_another_shape():
    with pytest.raises(ValueError, match=r"last dimensions are \(5,\), the shape of"):
        jd.Subset(LOGITS, 2).log_prob(jnp.zeros(4))
    with pytest.raises(ValueError, match=r"at most 16777216 joint states to enum"):
        jd.Subset(jnp.zeros((3, 20)), 10).enumerate_support()


def test_no_program_grows_with_k_or_the_number_of_states():
    """An unrolled loop takes minutes to compile, a constant table of states too."""

    def text(num_items, k):
        def both(q):
            soft = q.relax(q.relaxed_sample(KEY), 0.5)
            return soft, q.enumerate_support()

        jaxpr = jax.make_jaxpr(both)(jd.Subset(jnp.zeros(num_items), k))
        sizes = [np.size(x) for x in jaxpr.consts]
        return len(re.findall(r" = [a-z]", str(jaxpr))), sum(sizes)

    few, _ = text(8, 4)
    many, size = text(18, 9)
    assert many == few
    assert size < 1000  # of 48,620 states of 18 items
