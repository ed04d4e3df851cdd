"""Distinct joint states: their law, their weights, and the estimators made of them."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import (
    K_SIGMA,
    BareSampler,
    all_finite,
    assert_close,
    exact_gradient,
    gradient_samples,
)

import jaxdiscrete as jd
from jaxdiscrete.distributions.set_probability import log_set_probability, set_weights
from jaxdiscrete.enumeration.states import (
    log_prob_table,
    sample_without_replacement,
    states_of,
    top_states,
)
from jaxdiscrete.enumeration.unordered_set import unordered_set_signals

KEY = jax.random.key(0)
Q = {
    "a": jd.Bernoulli(jnp.array([0.3])),
    "b": (jd.OneHotCategorical(jnp.array([0.2, -0.1, -jnp.inf])),),
}
# The two classes of a, the three of b, one of them masked: 6 states, 4 possible.
GRID = np.array(list(itertools.product(range(2), range(3))))


def probabilities(q):
    """Those of the states of GRID."""
    z = states_of(q, jnp.asarray(GRID))
    log_a = jax.vmap(lambda x: q["a"].log_prob(x).sum())(z["a"])
    log_b = jax.vmap(q["b"][0].log_prob)(z["b"][0])
    return np.exp(np.float64(log_a) + np.float64(log_b))


def test_order_is_that_of_draws_without_replacement():
    num, k = 150_000, 3
    keys = jax.random.split(KEY, num)
    drawn = jax.jit(jax.vmap(lambda key: sample_without_replacement(key, Q, k)))(keys)
    index = np.asarray(drawn.choices) @ [3, 1]
    p = probabilities(Q)
    possible = np.flatnonzero(p)
    assert len(possible) == 4
    for order in itertools.permutations(possible, k):
        left = 1.0 - np.concatenate([[0.0], np.cumsum(p[list(order)])[:-1]])
        expected = np.prod(p[list(order)] / left)
        count = (index == order).all(axis=-1).mean()
        se = np.sqrt(expected * (1.0 - expected) / num)
        assert K_SIGMA * se < 0.1 * expected
        assert abs(count - expected) < K_SIGMA * se
    np.testing.assert_allclose(np.exp(drawn.log_probs), p[index], rtol=1e-5)
    rest = 1.0 - p[index].sum(axis=-1)
    np.testing.assert_allclose(np.exp(drawn.log_rest), rest, rtol=1e-5)


def test_states_are_samples_of_q():
    drawn = sample_without_replacement(KEY, Q, 4)
    z = states_of(Q, drawn.choices)
    one = jax.eval_shape(lambda q: jax.tree.map(lambda x: x[0], states_of(q, GRID)), Q)
    assert jax.tree.structure(z) == jax.tree.structure(one)
    log_probs = jax.vmap(
        lambda z: Q["a"].log_prob(z["a"]).sum() + Q["b"][0].log_prob(z["b"][0])
    )(z)
    assert_close(log_probs, drawn.log_probs)
    rows = np.concatenate([z["a"], z["b"][0]], axis=-1)
    assert len(np.unique(rows, axis=0)) == 4


def test_what_is_impossible_is_never_drawn_before_what_is_possible():
    drawn = sample_without_replacement(KEY, Q, 6)
    assert np.isfinite(drawn.log_probs[:4]).all()
    assert np.isneginf(drawn.log_probs[4:]).all()
    assert np.isneginf(drawn.log_rest)
    assert len(np.unique(np.asarray(drawn.choices[:4]), axis=0)) == 4
    assert np.all(drawn.choices[4:] == drawn.choices[:1])


@pytest.mark.parametrize("k", [1, 7, 50])
def test_top_states_are_the_first_of_all_sorted(k):
    logits = 2.0 * jax.random.normal(jax.random.key(1), (4, 3))
    q = (
        jd.OneHotCategorical(logits),
        jd.Bernoulli(jnp.array([0.3, -2.0, float("inf")])),
    )
    table = np.asarray(log_prob_table(q), np.float64)
    rows = [row[np.isfinite(row)] for row in table]
    assert [len(row) for row in rows] == [3, 3, 3, 3, 2, 2, 1]
    joint = functools.reduce(lambda x, row: np.add.outer(x, row).ravel(), rows)
    expected = np.sort(joint)[::-1]
    top = top_states(q, k)
    np.testing.assert_allclose(top.log_probs, expected[:k], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        np.exp(top.log_rest), np.exp(expected[k:]).sum(), rtol=1e-5
    )
    chosen = np.take_along_axis(table[None], np.asarray(top.choices)[..., None], -1)
    np.testing.assert_allclose(chosen.sum((1, 2)), top.log_probs, rtol=1e-5, atol=1e-5)


def set_probabilities(p, rest):
    """Of every subset, as a bit mask: that it is drawn before all others."""
    k = len(p)
    result = np.ones(2**k)
    for mask in range(1, 2**k):
        last = [i for i in range(k) if mask >> i & 1]
        before = [mask & ~(1 << i) for i in last]
        left = [rest + sum(p[j] for j in range(k) if not m >> j & 1) for m in before]
        result[mask] = sum(
            result[m] * p[i] / r for m, i, r in zip(before, last, left, strict=True)
        )
    return result


def exact_weights(p, rest):
    """The probability of the set of all p, and its weights of both orders."""
    k = len(p)
    without = lambda *items: set_probabilities(np.delete(p, items), rest)[-1]  # noqa: E731
    first = np.array([p[s] * without(s) for s in range(k)]) / without()
    second = [
        [p[t] * (without(s, t) / without(s) if s != t else 1.0) for t in range(k)]
        for s in range(k)
    ]
    return without(), first, np.array(second)


def assert_quadrature(k, dtype, rtol):
    rng = np.random.default_rng(k)
    of_set, of_items = jax.jit(log_set_probability), jax.jit(set_weights)
    for spread, level in itertools.product((0.3, 3.0, 10.0), (-20.0, -2.0, 8.0)):
        log_all = np.append(spread * rng.normal(size=k), level)
        log_all = (log_all - np.logaddexp.reduce(log_all)).astype(dtype)
        p = np.exp(np.float64(log_all))
        probability, first, second = exact_weights(p[:-1], p[-1])
        log_p, log_rest = jnp.asarray(log_all[:-1]), jnp.asarray(log_all[-1])
        np.testing.assert_allclose(
            of_set(log_p, log_rest), np.log(probability), rtol=rtol, atol=rtol
        )
        weights = of_items(log_p, log_rest)
        np.testing.assert_allclose(weights.first, first, rtol=rtol)
        np.testing.assert_allclose(weights.second, second, rtol=rtol)
        np.testing.assert_allclose(first.sum(), 1.0, rtol=1e-5)
        np.testing.assert_allclose(second.sum(axis=-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("k", [2, 8])
def test_quadrature_is_exact_to_rounding(k):
    assert_quadrature(k, np.float32, 2e-6)


def test_quadrature_is_exact_to_rounding_in_double_precision(x64):
    assert_quadrature(5, np.float64, 1e-13)


@pytest.mark.parametrize("k", [40, 150])
def test_quadrature_of_many_equal_items(k):
    """Of n equal items every set of k is as likely."""
    n = 2 * k
    log_p = jnp.full(k, -np.log(n), jnp.float32)
    log_rest = jnp.log(jnp.float32((n - k) / n))
    weights = set_weights(log_p, log_rest)
    assert_close(weights.first, np.full(k, 1.0 / k), rtol=1e-5)
    off_diagonal = (1.0 - 1.0 / n) / (k - 1)
    expected = np.where(np.eye(k, dtype=bool), 1.0 / n, off_diagonal)
    assert_close(weights.second, expected, rtol=1e-5)
    log_binomial = sum(np.log((n - i) / (k - i)) for i in range(k))
    assert_close(log_set_probability(log_p, log_rest), -log_binomial, rtol=1e-5)


@pytest.mark.parametrize("rest", [-jnp.inf, -1e4, -200.0])
def test_weights_of_what_is_all_or_nearly_all(rest):
    """The ratios are 1 and only the probabilities remain, whatever is impossible."""
    log_p = jnp.log(jnp.array([0.7, 0.0, 0.3]))
    weights = set_weights(log_p, jnp.float32(rest))
    assert_close(weights.first, [0.7, 0.0, 0.3])
    assert_close(weights.second, np.broadcast_to([0.7, 0.0, 0.3], (3, 3)))
    assert weights.first[1] == 0.0


TARGET = np.array([0.6, 0.51, 0.48])
STATES = np.array(list(itertools.product((0.0, 1.0), repeat=3)))


def distance(z):
    return jnp.sum((z - jnp.asarray(TARGET, z.dtype)) ** 2)


def toy(eta):
    """Probabilities, values of f and scores of the 8 states, and the exact gradient."""
    mean = 1.0 / (1.0 + np.exp(-eta))
    p = np.prod(np.where(STATES == 1, mean, 1.0 - mean), axis=-1)
    values = ((STATES - TARGET) ** 2).sum(axis=-1)
    scores = STATES - mean
    return p, values, scores, (p * values) @ scores


@jax.jit
@jax.vmap
def estimates_of_sets(log_p, log_rest, values):
    """The value, and the weights of the scores."""
    weights = set_weights(log_p, log_rest)
    return jnp.dot(weights.first, values), unordered_set_signals(values, weights)


def unordered_set_law(k, eta):
    """Mean value, mean gradient and its total variance, over every set of k states."""
    p, values, scores, _ = toy(eta)
    sets = np.array(list(itertools.combinations(range(8), k)))
    rest = np.array([np.delete(p, s).sum() for s in sets])
    with np.errstate(divide="ignore"):
        log_rest = np.log(rest)
    of_set, signals = estimates_of_sets(
        jnp.asarray(np.log(p[sets]), jnp.float32),
        jnp.asarray(log_rest, jnp.float32),
        jnp.asarray(values[sets], jnp.float32),
    )
    gradients = np.einsum("nk,nkd->nd", np.float64(signals), scores[sets])
    law = set_probabilities(p, 0.0)[(1 << sets).sum(axis=-1)]
    np.testing.assert_allclose(law.sum(), 1.0, rtol=1e-9)
    mean = law @ gradients
    return law @ np.float64(of_set), mean, (law @ (gradients - mean) ** 2).sum()


def leave_one_out_variance(k, eta):
    """The total variance of a U-statistic of pairs."""
    p, values, scores, exact = toy(eta)
    pairs = (
        0.5
        * (values[:, None] - values)[..., None]
        * (scores[:, None] - scores[None, :])
    )
    of_one = np.einsum("j,ijd->id", p, pairs)
    first = (p @ of_one**2 - exact**2).sum()
    second = (np.einsum("i,j,ijd->d", p, p, pairs**2) - exact**2).sum()
    return (4.0 * (k - 2) * first + 2.0 * second) / (k * (k - 1))


@pytest.mark.parametrize("eta", [0.0, -4.0])
def test_unordered_set_is_unbiased_and_never_worse_than_leave_one_out(eta):
    p, values, _, exact = toy(eta)
    variances = []
    for k in range(2, 9):
        value, gradient, variance = unordered_set_law(k, eta)
        np.testing.assert_allclose(value, p @ values, rtol=1e-6)
        np.testing.assert_allclose(gradient, exact, rtol=1e-5)
        assert variance <= leave_one_out_variance(k, eta)
        variances.append(variance)
    assert np.all(np.diff(variances) < 0)
    assert variances[-1] < 1e-12


def test_the_law_of_leave_one_out_is_what_samples_say():
    """The yardstick of the test above."""
    estimate = jd.reinforce_loo(distance, num_samples=4)
    samples = gradient_samples(estimate, jd.Bernoulli(jnp.zeros(3)), num=50_000)
    np.testing.assert_allclose(
        samples.var(axis=0).sum(), leave_one_out_variance(4, 0.0), rtol=0.05
    )


def test_unordered_set_has_the_variance_of_its_law():
    estimate = jd.unordered_set(distance, num_samples=4)
    samples = gradient_samples(estimate, jd.Bernoulli(jnp.zeros(3)), num=50_000)
    variance = unordered_set_law(4, 0.0)[2]
    np.testing.assert_allclose(samples.var(axis=0).sum(), variance, rtol=0.05)


def rest_variance(enumerated, eta):
    """Of the exact sum over some states and one sample of the others."""
    p, values, scores, _ = toy(eta)
    rest = np.setdiff1d(np.arange(8), list(enumerated))
    mass = p[rest].sum()
    terms = mass * values[rest, None] * scores[rest]
    mean = p[rest] / mass @ terms
    return (p[rest] / mass @ (terms - mean) ** 2).sum()


def test_partial_enumeration_has_the_variance_of_its_rest():
    eta = -4.0
    order = np.argsort(-toy(eta)[0], kind="stable")
    q = jd.Bernoulli(jnp.full(3, eta))
    for num_states in (1, 4):
        # Which of several equally likely states are summed is not told: any of them
        # has the same variance within its group only if the group is summed whole.
        assert toy(eta)[0][order[num_states]] < toy(eta)[0][order[num_states - 1]]
        estimate = jd.partial_enumeration(distance, num_states=num_states)
        samples = gradient_samples(estimate, q, num=50_000)
        expected = rest_variance(order[:num_states], eta)
        np.testing.assert_allclose(samples.var(axis=0).sum(), expected, rtol=0.05)


def test_sum_and_sample_has_the_variance_of_its_rest():
    p = toy(0.0)[0]
    law = set_probabilities(p, 0.0)
    sets = list(itertools.combinations(range(8), 3))
    expected = sum(law[sum(1 << i for i in s)] * rest_variance(s, 0.0) for s in sets)
    estimate = jd.sum_and_sample(distance, num_samples=4)
    samples = gradient_samples(estimate, jd.Bernoulli(jnp.zeros(3)), num=50_000)
    np.testing.assert_allclose(samples.var(axis=0).sum(), expected, rtol=0.05)


EXHAUSTIVE = {
    "unordered_set": lambda f: jd.unordered_set(f, num_samples=8),
    "sum_and_sample": lambda f: jd.sum_and_sample(f, num_samples=8),
    "partial_enumeration": lambda f: jd.partial_enumeration(f, num_states=7),
    "partial_enumeration_of_all": lambda f: jd.partial_enumeration(f, num_states=8),
}
exhaustive = pytest.mark.parametrize("name", EXHAUSTIVE)


@exhaustive
@pytest.mark.parametrize("eta", [0.0, -4.0])
def test_all_states_together_are_exact(name, eta):
    q = jd.Bernoulli(jnp.full(3, eta))
    estimate = jax.jit(jax.value_and_grad(EXHAUSTIVE[name](distance), 1))
    exact = jax.value_and_grad(jd.exact(distance), 1)(KEY, q)
    for seed in range(3):
        assert_close(estimate(jax.random.key(seed), q), exact, rtol=1e-5)


@exhaustive
def test_f_at_impossible_states_counts_for_nothing(name):
    """Neither its value nor its derivative, infinite or not: 4 of 8 are possible."""
    q = (jd.Bernoulli(jnp.array([0.3, jnp.inf])), jd.Bernoulli(jnp.array([-0.5])))

    def f(z, t):
        a, b = z
        return jnp.log(t * a[1]) * (1.0 + a[0]) + a[0] * b[0]

    def loss(make):
        return jax.value_and_grad(make(f), (1, 2))

    value, gradient = jax.jit(loss(EXHAUSTIVE[name]))(KEY, q, jnp.array(2.0))
    expected = loss(jd.exact)(KEY, q, jnp.array(2.0))
    assert_close((value, gradient), expected, rtol=1e-5)


def test_two_hundred_variables():
    """Where a state is never drawn twice the estimator is leave-one-out."""
    k, n = 4, 200
    logits = jax.random.normal(jax.random.key(1), (n,))
    weights = jax.random.normal(jax.random.key(2), (n,))

    def f(z):
        return jnp.dot(z, weights) + 1e3, z

    estimate = jd.unordered_set(f, num_samples=k, has_aux=True)
    step = jax.jit(jax.value_and_grad(estimate, 1, has_aux=True))
    (value, z), gradient = step(KEY, jd.Bernoulli(logits))
    values = jax.vmap(lambda x: f(x)[0])(z)
    assert len(np.unique(np.asarray(z), axis=0)) == k
    scores = z - jax.nn.sigmoid(logits)[None, :]
    expected = (values - values.mean()) @ scores / (k - 1)
    assert_close(value, values.mean(), rtol=1e-5)
    assert_close(gradient.logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["sum_and_sample", "partial_enumeration"])
def test_two_hundred_variables_of_which_few_are_free(name):
    logits = jnp.full(200, 1e4).at[:2].set(jnp.array([0.3, -0.4]))
    f = lambda z: z[0] * z[1] + z.sum() / 100.0  # noqa: E731
    make = {
        "sum_and_sample": jd.sum_and_sample(f, num_samples=4),
        "partial_enumeration": jd.partial_enumeration(f, num_states=4),
    }[name]
    gradient = jax.jit(jax.grad(make, 1))(KEY, jd.Bernoulli(logits)).logits
    exact = exact_gradient(
        lambda z: z[0] * z[1] + z.sum() / 100.0 + 1.98, jd.Bernoulli(logits[:2])
    )
    assert_close(gradient[:2], exact, rtol=1e-4, atol=1e-5)
    assert_close(gradient[2:], np.zeros(198), atol=1e-5)


def test_a_constant_of_any_size_leaves_no_gradient():
    estimate = jd.unordered_set(lambda z: 1e8 + 0.0 * z[0], num_samples=3)
    step = jax.jit(jax.grad(estimate, 1))
    gradient = step(KEY, jd.Bernoulli(jnp.array([0.3, -0.7])))
    assert np.all(gradient.logits == 0.0)


@pytest.mark.parametrize("name", ["sum_and_sample", "partial_enumeration"])
def test_baseline_is_trained_where_the_variance_is(name):
    q = jd.Bernoulli(jnp.array([0.3, -0.7]))

    def f(z):
        return 3.0 * z[0] - z[1] ** 2 + 1.0, z

    def loss(c):
        options = {"baseline": c, "has_aux": True}
        if name == "sum_and_sample":
            return jd.sum_and_sample(f, num_samples=2, **options)(KEY, q)
        return jd.partial_enumeration(f, num_states=1, **options)(KEY, q)

    c = jnp.array(0.4)
    gradient, z = jax.grad(loss, has_aux=True)(c)
    summed, sampled = z
    mass = 1.0 - jnp.exp(q.log_prob(summed).sum())
    assert_close(gradient, mass**2 * (c - f(sampled)[0]))


def test_partial_enumeration_sums_the_likeliest_and_samples_another():
    q = jd.Bernoulli(jnp.array([2.0, -1.0, 0.5]))
    estimate = jd.partial_enumeration(
        lambda z: (z.sum(), z), num_states=2, has_aux=True
    )
    keys = jax.random.split(KEY, 20_000)
    values, z = jax.jit(jax.vmap(estimate, (0, None)))(keys, q)
    error = np.mean(values) - float(q.mean().sum())
    assert abs(error) < K_SIGMA * np.std(values) / np.sqrt(len(keys))
    likeliest = [[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert np.all(np.asarray(z)[:, :2] == likeliest)
    p = np.prod(np.where(STATES == 1, q.mean(), 1.0 - q.mean()), axis=-1)
    is_summed = (STATES[:, None] == likeliest).all(-1).any(-1)
    expected = np.where(is_summed, 0.0, p) / p[~is_summed].sum()
    frequency = (np.asarray(z)[:, 2, None] == STATES).all(-1).mean(axis=0)
    se = np.sqrt(expected * (1.0 - expected) / len(keys))
    assert np.all(np.abs(frequency - expected) <= K_SIGMA * se)


@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_samples_and_values_of_low_precision(dtype):
    q = jd.OneHotCategorical(jnp.array([[0.3, -0.7, -jnp.inf], [0.0, 1.0, 2.0]], dtype))
    f = lambda z: (jnp.sum(z[:, 1]) ** 2, z)  # noqa: E731
    exact = jax.value_and_grad(jd.exact(lambda z: f(z)[0]), 1)(KEY, q)
    for estimate in (
        jd.unordered_set(f, num_samples=6, has_aux=True),
        jd.sum_and_sample(f, num_samples=6, has_aux=True),
        jd.partial_enumeration(f, num_states=5, has_aux=True),
    ):
        step = jax.jit(jax.value_and_grad(estimate, 1, has_aux=True))
        (value, z), gradient = step(KEY, q)
        assert value.dtype == z.dtype == gradient.logits.dtype == dtype
        assert z.shape == (6, 2, 3)
        assert_close((value, gradient), exact, rtol=2e-2, atol=1e-3)
        assert all_finite(gradient)


def test_more_states_than_there_are():
    q, match = jd.Bernoulli(jnp.zeros(3)), "the number of joint states of q, in"
    for name, what, least, estimate in (
        ("unordered_set", "num_samples", 2, jd.unordered_set),
        ("sum_and_sample", "num_samples", 1, jd.sum_and_sample),
        ("partial_enumeration", "num_states", 1, jd.partial_enumeration),
    ):
        with pytest.raises(
            ValueError,
            match=rf"{what} <= 8, {match} jaxdiscrete.{name}, got 9.*jaxdiscrete.exact",
        ):
            estimate(distance, **{what: 9})(KEY, q)
        with pytest.raises(
            ValueError,
            match=rf"{what} >= {least} in jaxdiscrete.{name}, got {least - 1}",
        ):
            estimate(distance, **{what: least - 1})
        with pytest.raises(TypeError, match=f"{what} of .* Python int, got float"):
            estimate(distance, **{what: 2.0})
        with pytest.raises(
            TypeError,
            match=r"jaxdiscrete.Bernoulli or jaxdiscrete.OneHotCategorical "
            rf"distributions in jaxdiscrete.{name}, .*got BareSampler",
        ):
            estimate(distance, **{what: 2})(KEY, BareSampler(jnp.zeros(3)))


@pytest.mark.parametrize(
    "transform",
    [
        lambda b: jd.sum_and_sample(distance, num_samples=2, baseline=b),
        lambda b: jd.partial_enumeration(distance, num_states=2, baseline=b),
    ],
)
def test_baseline_must_be_one_scalar(transform):
    for bad in (jnp.zeros(2), lambda: jnp.zeros(2)):
        with pytest.raises(ValueError, match=r"baseline to return one .* shape \(2,\)"):
            transform(bad)(KEY, jd.Bernoulli(jnp.zeros(3)))
