"""Distinct joint states, and what all estimators made of them share."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.enumeration.states import (
    log_prob_table,
    sample_without_replacement,
    states_of,
    top_states,
)
from tests.helpers.parameters import daily
from tests.helpers.samplers import BareSampler
from tests.helpers.sets import distance
from tests.helpers.statistics import K_SIGMA, map_in_chunks
from tests.helpers.trees import all_finite, assert_close

KEY = jax.random.key(0)
draw = jax.jit(sample_without_replacement, static_argnums=2)
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


@pytest.mark.thorough
def test_order_is_that_of_draws_without_replacement():
    num, k = 150_000, 3
    keys = jax.random.split(KEY, num)
    drawn = map_in_chunks(lambda key: sample_without_replacement(key, Q, k), keys)
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
    drawn = draw(KEY, Q, 4)
    z = jax.jit(states_of)(Q, drawn.choices)
    one = jax.eval_shape(lambda q: jax.tree.map(lambda x: x[0], states_of(q, GRID)), Q)
    assert jax.tree.structure(z) == jax.tree.structure(one)
    log_probs = jax.jit(
        jax.vmap(
            lambda z: Q["a"].log_prob(z["a"]).sum() + Q["b"][0].log_prob(z["b"][0])
        )
    )(z)
    assert_close(log_probs, drawn.log_probs)
    rows = np.concatenate([z["a"], z["b"][0]], axis=-1)
    assert len(np.unique(rows, axis=0)) == 4


def test_what_is_impossible_is_never_drawn_before_what_is_possible():
    drawn = draw(KEY, Q, 6)
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


EXHAUSTIVE = {
    "unordered_set": lambda f: jd.unordered_set(f, num_samples=8),
    "sum_and_sample": lambda f: jd.sum_and_sample(f, num_samples=8),
    "partial_enumeration": lambda f: jd.partial_enumeration(f, num_states=7),
    "partial_enumeration_of_all": lambda f: jd.partial_enumeration(f, num_states=8),
}
exhaustive = pytest.mark.parametrize("name", EXHAUSTIVE)


@exhaustive
@pytest.mark.parametrize("eta", daily([-4.0], [0.0, -4.0]))
def test_all_states_together_are_exact(name, eta):
    q = jd.Bernoulli(jnp.full(3, eta))
    estimate = jax.jit(jax.value_and_grad(EXHAUSTIVE[name](distance), 1))
    exact = jax.jit(jax.value_and_grad(jd.exact(distance), 1))(KEY, q)
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

    ours, exact = jax.jit(
        lambda *args: (loss(EXHAUSTIVE[name])(*args), loss(jd.exact)(*args))
    )(KEY, q, jnp.array(2.0))
    assert_close(ours, exact, rtol=1e-5)


@pytest.mark.thorough
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
            match=rf"finitely many classes in jaxdiscrete.{name}, got BareSampler, wh",
        ):
            estimate(distance, **{what: 2})(KEY, BareSampler(jnp.zeros(3)))
