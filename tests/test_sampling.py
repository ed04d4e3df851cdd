"""Noise and index sampling: exact where it can be counted, tested where it cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxdiscrete as jd
from jaxdiscrete.noise import index_from_bits

SIGNIFICANCE = 1e-4
NUM = 200_000


def keys(seed=0, num=NUM):
    return jax.random.split(jax.random.key(seed), num)


@pytest.mark.parametrize(
    ("sampler", "reference"),
    [
        (jd.sample_gumbel, scipy.stats.gumbel_r),
        (jd.sample_logistic, scipy.stats.logistic),
        (jd.sample_exponential, scipy.stats.expon),
    ],
)
def test_noise_has_its_distribution(sampler, reference):
    noise = np.asarray(sampler(jax.random.key(0), (NUM,)))
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()
    assert scipy.stats.kstest(noise, reference.cdf).pvalue > SIGNIFICANCE


@pytest.mark.parametrize(
    "sampler", [jd.sample_gumbel, jd.sample_logistic, jd.sample_exponential]
)
def test_noise_is_finite_for_every_extreme_of_the_bits(sampler, monkeypatch):
    extremes = jnp.array(
        [0, 1, 2, 3, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], jnp.uint32
    )
    monkeypatch.setattr(jax.random, "bits", lambda key, shape, dtype: extremes)
    noise = sampler(jax.random.key(0), extremes.shape)
    assert bool(jnp.isfinite(noise).all())
    if sampler is jd.sample_exponential:
        assert bool((noise > 0).all())


def test_logistic_is_the_difference_of_two_gumbels():
    key_a, key_b, key_l = jax.random.split(jax.random.key(1), 3)
    difference = jd.sample_gumbel(key_a, (NUM,)) - jd.sample_gumbel(key_b, (NUM,))
    logistic = jd.sample_logistic(key_l, (NUM,))
    result = scipy.stats.ks_2samp(np.asarray(difference), np.asarray(logistic))
    assert result.pvalue > SIGNIFICANCE


def test_one_gumbel_would_not_do_for_a_bernoulli():
    """The trap: sigmoid of a single Gumbel gives P(z = 1) = .632 at logit 0."""
    one = jd.sample_gumbel(jax.random.key(0), (NUM,))
    assert abs(float((one > 0).mean()) - 0.632) < 0.005
    z = jax.vmap(jd.Bernoulli(jnp.array(0.0)).sample)(keys())
    assert abs(float(z.mean()) - 0.5) < 4.5 * 0.5 / NUM**0.5


LOGITS = jnp.array([0.3, -1.2, 2.0, -jnp.inf, 0.0])


def as_index(q):
    return lambda key: jnp.argmax(q.sample(key), axis=-1)


@pytest.mark.parametrize(
    "sample",
    [
        as_index(jd.OneHotCategorical(LOGITS)),
        lambda key: jd.gumbel_max(key, LOGITS),
        lambda key: jd.exponential_race(key, LOGITS),
        lambda key: jnp.argmax(
            jd.OneHotCategorical(LOGITS).threshold(
                jd.OneHotCategorical(LOGITS).relaxed_sample(key)
            )
        ),
    ],
    ids=["one uniform", "gumbel max", "exponential race", "threshold"],
)
def test_categorical_samplers_agree_with_the_probabilities(sample):
    drawn = np.asarray(jax.jit(jax.vmap(sample))(keys(3)))
    counts = np.bincount(drawn, minlength=5)
    expected = np.asarray(jax.nn.softmax(LOGITS), np.float64) * NUM
    assert counts[3] == 0
    keep = expected > 0
    expected = expected[keep] * counts.sum() / expected[keep].sum()
    assert scipy.stats.chisquare(counts[keep], expected).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("logit", [-3.0, 0.0, 0.4, 2.5])
def test_bernoulli_samplers_agree_with_the_probability(logit):
    q = jd.Bernoulli(jnp.array(logit))
    p = 1.0 / (1.0 + np.exp(-logit))
    for seed, sample in enumerate(
        [q.sample, lambda key: q.threshold(q.relaxed_sample(key))]
    ):
        count = int(jax.jit(jax.vmap(sample))(keys(seed)).sum())
        assert scipy.stats.binomtest(count, NUM, p).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("num_classes", [1, 2, 15, 16, 17, 1000, 50_000])
def test_any_number_of_classes(num_classes):
    logits = jax.random.normal(jax.random.key(num_classes), (num_classes,))
    q = jd.OneHotCategorical(logits)
    num = min(NUM, 2**24 // num_classes)
    z = jax.jit(lambda k: jnp.argmax(jax.vmap(q.sample)(k), axis=-1))(keys(1, num))
    drawn = np.asarray(z)
    probabilities = np.asarray(jax.nn.softmax(logits), np.float64)
    groups = np.arange(num_classes) % min(num_classes, 8)
    expected = np.bincount(groups, probabilities / probabilities.sum()) * num
    counts = np.bincount(groups[drawn], minlength=len(expected))
    if len(expected) > 1:
        assert scipy.stats.chisquare(counts, expected).pvalue > SIGNIFICANCE
    assert counts.sum() == num


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


@pytest.mark.parametrize("place", [0, 20, 39])
def test_masked_class_is_never_drawn_whatever_the_bits(place):
    weights = np.insert(np.random.default_rng(1).dirichlet(np.ones(39)), place, 0.0)
    probabilities = jnp.asarray(weights, jnp.float32)
    assert units_of(probabilities, place) == 0
    extremes = jnp.array([0, 1, 2**31, 2**32 - 2, 2**32 - 1], jnp.uint32)
    drawn = index_from_bits(extremes, jnp.broadcast_to(probabilities, (5, 40)))
    assert not np.any(np.asarray(drawn) == place)
    assert np.all(np.asarray(drawn) < 40)


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
