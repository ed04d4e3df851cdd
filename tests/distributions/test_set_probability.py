"""The probability that a set is drawn before all else, against its recursion."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.distributions.set_probability import log_set_probability, set_weights
from tests.helpers.parameters import daily
from tests.helpers.sets import set_probabilities
from tests.helpers.trees import assert_close


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


@pytest.mark.parametrize("k", daily([2], [2, 8]))
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
