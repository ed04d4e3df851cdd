"""Noise and index sampling: exact where it can be counted, tested where it cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxdiscrete as jd
from jaxdiscrete.noise import index_from_bits, select_from_bits
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased
from tests.solvers.problems import KEY

SIGNIFICANCE = 1e-4
NUM = 200_000


@pytest.mark.parametrize(
    ("sampler", "reference"),
    [
        (jd.noise.sample_gumbel, scipy.stats.gumbel_r),
        (jd.noise.sample_logistic, scipy.stats.logistic),
        (jd.noise.sample_exponential, scipy.stats.expon),
    ],
)
def test_noise_has_its_distribution(sampler, reference):
    noise = np.asarray(sampler(jax.random.key(0), (NUM,)))
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()
    assert scipy.stats.kstest(noise, reference.cdf).pvalue > SIGNIFICANCE


@pytest.mark.parametrize(
    "sampler",
    [jd.noise.sample_gumbel, jd.noise.sample_logistic, jd.noise.sample_exponential],
)
def test_noise_is_finite_for_every_extreme_of_the_bits(sampler, monkeypatch):
    extremes = jnp.array(
        [0, 1, 2, 3, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], jnp.uint32
    )
    monkeypatch.setattr(jax.random, "bits", lambda key, shape, dtype: extremes)
    noise = sampler(jax.random.key(0), extremes.shape)
    assert bool(jnp.isfinite(noise).all())
    if sampler is jd.noise.sample_exponential:
        assert bool((noise > 0).all())


def test_logistic_is_the_difference_of_two_gumbels():
    key_a, key_b, key_l = jax.random.split(jax.random.key(1), 3)
    difference = jd.noise.sample_gumbel(key_a, (NUM,)) - jd.noise.sample_gumbel(
        key_b, (NUM,)
    )
    logistic = jd.noise.sample_logistic(key_l, (NUM,))
    result = scipy.stats.ks_2samp(np.asarray(difference), np.asarray(logistic))
    assert result.pvalue > SIGNIFICANCE


def units_of(probabilities, class_index):
    """How many of the 2**32 values of the bits select a class, by bisection."""
    select = jax.jit(lambda bits: index_from_bits(bits, probabilities))

    def first(target):
        """The smallest bits whose index is at least target."""
        low, high = 0, 2**32
        while low < high:
            middle = (low + high) // 2
            if int(select(jnp.uint32(middle))) >= target:
                high = middle
            else:
                low = middle + 1
        return low

    return first(class_index + 1) - first(class_index)


@pytest.mark.parametrize("tail", [1e-3, 1e-6, 5e-8])
@pytest.mark.parametrize("place", [0, 7, 20, 39])
def test_tail_classes_keep_their_probability(tail, place):
    """Counted exactly: which of all 2**32 uniforms select the rare class."""
    rest = np.random.default_rng(0).dirichlet(np.ones(39)) * (1.0 - tail)
    probabilities = jnp.asarray(np.insert(rest, place, tail), jnp.float32)
    realised = units_of(probabilities, place) / 2.0**32
    assert abs(realised - tail) <= max(1e-9, 1e-6 * tail)


@pytest.mark.parametrize(
    ("num_classes", "place"), [(40, 0), (40, 20), (40, 39), (5, 0), (5, 4)]
)
def test_masked_class_is_never_drawn_whatever_the_bits(num_classes, place):
    others = np.random.default_rng(1).dirichlet(np.ones(num_classes - 1))
    weights = np.insert(others, place, 0.0)
    probabilities = jnp.asarray(weights, jnp.float32)
    assert units_of(probabilities, place) == 0
    extremes = jnp.array([0, 1, 2**31, 2**32 - 2, 2**32 - 1], jnp.uint32)
    drawn = index_from_bits(extremes, jnp.broadcast_to(probabilities, (5, num_classes)))
    assert not np.any(np.asarray(drawn) == place)
    assert np.all(np.asarray(drawn) < num_classes)


def test_index_is_exact_for_batches():
    probabilities = jax.nn.softmax(jax.random.normal(jax.random.key(0), (50, 3, 33)))
    bits = jax.random.bits(jax.random.key(1), (50, 3), jnp.uint32)
    index = np.asarray(index_from_bits(bits, probabilities))
    cdf = np.cumsum(np.asarray(probabilities, np.float64), axis=-1)
    u = np.asarray(bits, np.float64)[..., None] / 2.0**32 * cdf[..., -1:]
    reference = (cdf <= u).sum(axis=-1)
    assert (index == reference).mean() > 0.99
    off = index != reference
    edges = np.take_along_axis(cdf, np.minimum(index, reference)[..., None], -1)[..., 0]
    assert np.all(np.abs(edges - u[..., 0])[off] < 1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize(("k", "num_terms"), daily([(1, 10)], [(1, 10), (3, 4)]))
def test_sum_of_gamma_adds_up_to_gumbel_noise(k, num_terms):
    """Of s terms: mean 1 + .. + 1/s - log s, variance 1 + .. + 1/s^2."""
    noise = jd.noise.sum_of_gamma(k, num_terms=num_terms, temperature=2.0)
    x = np.asarray(jax.jit(lambda: noise(KEY, (50_000, k)))(), np.float64)
    total = x.sum(axis=-1) / 2.0
    i = np.arange(1, num_terms + 1)
    mean, variance = np.sum(1 / i) - np.log(num_terms), np.sum(1 / i**2)
    squares = (total - mean) ** 2
    assert_unbiased(np.stack([total, squares], axis=-1), np.array([mean, variance]))


def test_noise_stays_float32(x64):
    assert jd.noise.sum_of_gamma(2)(KEY, (3,)).dtype == jnp.float32


@pytest.mark.parametrize("num_classes", [2, 5, 40])
def test_what_is_left_of_the_bits_is_uniform_given_the_class(num_classes):
    """At evenly spaced bits, every class has evenly spaced ones of its own."""
    weights = np.arange(num_classes, dtype=np.float32)
    probabilities = jnp.asarray(weights / weights.sum())
    count = 2**16
    bits = jnp.arange(count, dtype=jnp.uint32) * jnp.uint32(2**32 // count)
    rows = jnp.broadcast_to(probabilities, (1, num_classes))
    index, uniform = map(np.asarray, jax.jit(select_from_bits)(bits, rows))
    assert np.array_equal(index, index_from_bits(bits, rows))
    assert 0.0 < uniform.min() <= uniform.max() < 1.0
    for k in range(1, num_classes):
        own = uniform[index == k]
        expected = (np.arange(own.size) + 0.5) / own.size
        np.testing.assert_allclose(np.sort(own), expected, atol=1.0 / own.size)
