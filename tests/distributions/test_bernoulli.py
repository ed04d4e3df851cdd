"""Bernoulli variables: tails, extremes, and the relaxed density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import jaxdiscrete as jd
from tests.helpers.trees import all_finite, assert_close

NUM = 100_000
BERNOULLI = jd.Bernoulli(jnp.array([0.3, -1.2]))


@pytest.mark.parametrize("size", [1e4, 80.0, float("inf")])
def test_extreme_bernoulli(size):
    q = jd.Bernoulli(jnp.array([size, -size]))
    z = jax.jit(jax.vmap(q.sample))(jax.random.split(jax.random.key(0), 100))
    assert_close(z, jnp.broadcast_to(jnp.array([1.0, 0.0]), z.shape))
    slope = jax.jit(jax.grad(lambda q: q.entropy().sum()))(q)
    assert all_finite((q.entropy(), q.mean(), q.log_prob(z[0]), slope))
    assert_close(q.log_prob(z[0]), jnp.zeros(2))
    assert float(q.log_prob(1.0 - z[0]).max()) <= -80.0


@pytest.mark.parametrize("temperature", [0.1, 0.7, 2.0])
def test_relaxed_bernoulli_density_integrates_to_one(temperature):
    q = jd.Bernoulli(jnp.array(0.8))
    y = jnp.linspace(-400.0, 400.0, 400_001)
    density = np.exp(jax.jit(jax.vmap(lambda v: q.relaxed_log_prob(v, temperature)))(y))
    np.testing.assert_allclose(scipy.integrate.trapezoid(density, y), 1.0, rtol=1e-3)


def test_relaxed_bernoulli_density_is_that_of_its_samples():
    q, t = jd.Bernoulli(jnp.array(0.8)), 0.6
    keys = jax.random.split(jax.random.key(0), NUM)
    y = np.asarray(jax.jit(jax.vmap(lambda k: q.temper(q.relaxed_sample(k), t)))(keys))
    grid = jnp.linspace(-120.0, 120.0, 200_001)
    density = np.exp(jax.jit(jax.vmap(lambda v: q.relaxed_log_prob(v, t)))(grid))
    cdf = scipy.integrate.cumulative_trapezoid(density, grid, initial=0.0)
    result = scipy.stats.kstest(y, lambda v: np.interp(v, grid, cdf))
    assert result.pvalue > 1e-4


def test_samples_have_no_gradient_path():
    gradient = jax.jit(jax.grad(lambda q: q.sample(jax.random.key(0)).sum()))(BERNOULLI)
    assert_close(gradient.logits, jnp.zeros(2))


SIGNIFICANCE = 1e-4
NUM_DRAWS = 200_000


def keys(seed=0, num=NUM_DRAWS):
    return jax.random.split(jax.random.key(seed), num)


def test_one_gumbel_would_not_do_for_a_bernoulli():
    """The trap: sigmoid of a single Gumbel gives P(z = 1) = .632 at logit 0."""
    one = jd.noise.sample_gumbel(jax.random.key(0), (NUM_DRAWS,))
    assert abs(float((one > 0).mean()) - 0.632) < 0.005
    z = jax.jit(jax.vmap(jd.Bernoulli(jnp.array(0.0)).sample))(keys())
    assert abs(float(z.mean()) - 0.5) < 4.5 * 0.5 / NUM_DRAWS**0.5


@jax.jit
def both_sums(logit):
    """Of samples, and of relaxed samples brought to 0 and 1."""
    q = jd.Bernoulli(logit)
    samplers = [q.sample, lambda key: q.threshold(q.relaxed_sample(key))]
    return [jax.vmap(s)(keys(seed)).sum() for seed, s in enumerate(samplers)]


@pytest.mark.parametrize("logit", [-3.0, 0.0, 0.4, 2.5])
def test_bernoulli_samplers_agree_with_the_probability(logit):
    p = 1.0 / (1.0 + np.exp(-logit))
    for count in map(int, both_sums(logit)):
        assert scipy.stats.binomtest(count, NUM_DRAWS, p).pvalue > SIGNIFICANCE


def test_bernoulli_tail_keeps_its_probability(monkeypatch):
    """The largest bits that still give the rare value, against its probability."""
    for p in (1e-3, 1e-6, 5e-8):
        logit = jnp.float32(np.log(p) - np.log1p(-p))
        for sign in (1.0, -1.0):
            center = round(p * 2**32)
            around = np.arange(max(center - 300, 0), center + 300)
            bits = jnp.asarray(around, jnp.uint32)
            with monkeypatch.context() as patch:
                patch.setattr(jax.random, "bits", lambda k, s, d, b=bits: b)
                q = jd.Bernoulli(jnp.full(bits.shape, sign * logit))
                z = np.asarray(q.sample(jax.random.key(0)))
            rare = z == (1.0 if sign > 0 else 0.0)
            realised = (around[0] + rare.sum()) / 2.0**32
            assert abs(realised - p) <= max(1e-9, 1e-6 * p)


def test_the_gradient_of_a_logit_that_is_no_number_is_none():
    """A zero would hide it where f does not look at that variable."""
    logits = jnp.array([jnp.nan, 0.5])

    def loss(logits):
        estimate = jd.reinforce(lambda z: 3.0 + z[1])
        return estimate(jax.random.key(0), jd.Bernoulli(logits))

    gradient = jax.jit(jax.grad(loss))(logits)
    np.testing.assert_array_equal(jnp.isnan(gradient), [True, False])
