"""CARMS: weights of pairs, joint laws, and variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.coupled.carms import pair_weights
from jaxdiscrete.coupled.stick_breaking import stick_logits
from tests.coupled.problems import (
    COPULAS,
    KEY,
    both_copulas,
    compare_with_leave_one_out,
    joint_of_sticks,
)
from tests.helpers.parameters import daily
from tests.helpers.statistics import (
    K_SIGMA,
    assert_less_variance,
    map_in_chunks,
)


@both_copulas
@pytest.mark.parametrize("num_samples", daily([3], [2, 3, 5]))
def test_weights_of_carms_are_ratios_of_joint_probabilities(copula, num_samples):
    log_p = jnp.log(jnp.array([0.04, 0.16, 0.35, 0.45]))
    p = jax.nn.sigmoid(stick_logits(log_p, jnp.arange(4)))
    _, rho = jax.jit(copula, static_argnums=1)(KEY, num_samples, p)
    ours = jax.jit(pair_weights)(p, rho, jnp.arange(4))
    joint = joint_of_sticks(np.asarray(p, np.float64), np.asarray(rho, np.float64))
    q = np.exp(np.asarray(log_p, np.float64))
    np.testing.assert_allclose(joint.sum(axis=0), q, rtol=1e-6)
    np.fill_diagonal(joint, np.inf)
    expected = np.outer(q, q) / joint
    np.testing.assert_allclose(ours, expected, rtol=2e-6)


@pytest.mark.thorough
def test_pairs_of_carms_have_their_joint_probabilities():
    logits = jnp.array([0.7, -0.5, 0.1, -jnp.inf])
    q = jd.OneHotCategorical(logits)
    estimate = jd.carms(lambda z: (z[0], z), num_samples=3, has_aux=True)
    num = 100_000
    _, z = map_in_chunks(lambda key: estimate(key, q), jax.random.split(KEY, num))
    index = np.asarray(jnp.argmax(z, axis=-1))
    order = np.asarray(jnp.argsort(q.location()))
    p = jax.nn.sigmoid(stick_logits(logits, order))
    _, rho = jd.dirichlet_copula(KEY, 3, jnp.minimum(p, 0.5))
    joint = joint_of_sticks(np.asarray(p, np.float64), np.asarray(rho, np.float64))
    expected = np.zeros((4, 4))
    expected[np.ix_(order, order)] = joint
    for i, j in ((0, 1), (2, 0)):
        counts = np.zeros((4, 4))
        np.add.at(counts, (index[:, i], index[:, j]), 1.0 / num)
        assert np.all(np.abs(counts - expected) <= K_SIGMA * np.sqrt(expected / num))


def test_no_pair_of_carms_weighs_more_than_one():
    """And so for two samples of one variable it is never worse, whatever f is."""
    rng = np.random.default_rng(0)
    spread = rng.choice([0.1, 1.0, 3.0], size=(2000, 1))
    logits = jnp.asarray(np.sort(spread * rng.normal(size=(2000, 6))), jnp.float32)
    order = jnp.broadcast_to(jnp.arange(6), logits.shape)
    p = jnp.minimum(jax.nn.sigmoid(stick_logits(logits, order)), 0.5)
    rank = jnp.broadcast_to(jnp.arange(6)[:, None], (6, 2000))
    for copula in COPULAS:
        _, rho = jax.jit(copula, static_argnums=1)(KEY, 2, p)
        weights = np.asarray(jax.jit(pair_weights)(p, rho, rank))
        assert weights.max() < 1.0 + 1e-6
        assert weights.max(axis=(0, 1)).min() < 0.9


@pytest.mark.thorough
@pytest.mark.parametrize("num_samples", [2, 4])
def test_carms_gains_for_one_variable(num_samples):
    q = jd.OneHotCategorical(jnp.array([0.3, -0.4, 0.0, 1.0]))
    f = lambda z: jnp.dot(z, jnp.array([1.0, -2.0, 0.5, 3.0]))  # noqa: E731
    ours, theirs = compare_with_leave_one_out(jd.carms, f, q, num_samples)
    assert_less_variance(ours, theirs)
