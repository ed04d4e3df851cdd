"""Copulas: marginals, correlations, and tails."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import jaxdiscrete as jd
from tests.coupled.problems import COPULAS, KEY, both_copulas
from tests.helpers.parameters import daily
from tests.helpers.statistics import K_SIGMA


@pytest.mark.parametrize(
    ("copula", "num_samples"),
    daily(
        [(jd.dirichlet_copula, 3)],
        list(itertools.product(COPULAS, [2, 3, 6])),
    ),
)
def test_marginals_and_correlations_of_a_copula(copula, num_samples):
    """Of two samples, whichever; every probability has a copula of its own."""
    num = 200_000
    q = jnp.array([0.0, 0.02, 0.2, 0.35, 0.5])
    is_rare, rho = jax.jit(lambda k: copula(k, num_samples, jnp.tile(q, (num, 1))))(KEY)
    is_rare, rho, q = np.asarray(is_rare), np.asarray(rho[0]), np.asarray(q)
    joint = rho * q * (1.0 - q) + q**2
    assert np.all(rho[1:] < -0.003)
    assert rho[0] == 0
    frequency = is_rare.mean(axis=1)
    assert np.all(np.abs(frequency - q) <= K_SIGMA * np.sqrt(q * (1.0 - q) / num))
    for i, j in ((0, 1), (1, num_samples - 1)):
        if i == j:
            continue
        together = (is_rare[i] & is_rare[j]).mean(axis=0)
        se = np.sqrt(np.maximum(joint, 0.0) / num)
        assert np.all(np.abs(together - joint) <= K_SIGMA * se + 1e-7)
    across = (is_rare[0, :, 2] & is_rare[1, :, 3]).mean()
    assert abs(across - q[2] * q[3]) < K_SIGMA * np.sqrt(q[2] * q[3] / num)


@both_copulas
def test_two_samples_of_a_copula_are_an_antithetic_pair(copula):
    q = jnp.linspace(0.0, 0.5, 1000)
    is_rare, rho = jax.jit(copula, static_argnums=1)(KEY, 2, q)
    assert not bool(jnp.any(is_rare[0] & is_rare[1]))
    np.testing.assert_allclose(rho, -q / (1.0 - q), rtol=1e-6)


@pytest.mark.parametrize("num_samples", daily([3, 50], [3, 4, 50]))
def test_correlation_of_the_gaussian_copula_is_that_of_scipy(num_samples):
    q = np.array([1e-5, 0.01, 0.2, 0.499, 0.5])
    r = -1.0 / (num_samples - 1)
    normal = scipy.stats.norm
    expected = []
    for h in normal.ppf(q):
        joint, _ = scipy.integrate.quad(
            lambda x, h=h: normal.pdf(x) * normal.cdf((h - r * x) / np.sqrt(1 - r * r)),
            -np.inf,
            h,
            epsabs=1e-14,
        )
        expected.append(joint)
    copula = jax.jit(jd.gaussian_copula, static_argnums=1)
    _, rho = copula(KEY, num_samples, jnp.asarray(q, jnp.float32))
    rho = np.asarray(rho, np.float64)
    np.testing.assert_allclose(rho, (expected - q**2) / (q - q**2), rtol=3e-5)


@pytest.mark.parametrize("num_samples", [2, 3, 5, 400])
def test_correlation_of_the_dirichlet_copula_is_its_closed_form(num_samples):
    q = np.array([1e-30, 1e-5, 0.2, 0.4, 0.5])
    root = q ** (1.0 / (num_samples - 1))
    joint = np.maximum(0.0, 2.0 * root - 1.0) ** (num_samples - 1)
    copula = jax.jit(jd.dirichlet_copula, static_argnums=1)
    _, rho = copula(KEY, num_samples, jnp.asarray(q, jnp.float32))
    rho = np.asarray(rho, np.float64)
    np.testing.assert_allclose(rho, (joint - q**2) / (q - q**2), rtol=1e-5, atol=2e-7)


@pytest.mark.thorough
def test_events_of_many_samples_keep_their_probability_in_the_tail():
    """With many samples a small u is a large share, far out in the tail of noise."""
    num, num_samples, q = 100_000, 50, 1e-4
    is_rare, _ = jax.jit(jd.dirichlet_copula, static_argnums=1)(
        KEY, num_samples, jnp.full(num, q)
    )
    expected = q * num * num_samples
    assert abs(int(is_rare.sum()) - expected) < K_SIGMA * np.sqrt(expected)


@both_copulas
def test_a_copula_couples_at_least_two(copula):
    match = rf"num_samples >= 2 in jaxdiscrete\.{copula.__name__}, got 1\. One sample"
    with pytest.raises(ValueError, match=match):
        copula(KEY, 1, 0.5)
