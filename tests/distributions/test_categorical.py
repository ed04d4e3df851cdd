"""Categorical variables: samplers, masks, and the relaxed density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

KEY = jax.random.key(0)


def test_mismatch_of_classes_inside_f():
    other = jd.OneHotCategorical(jnp.zeros(4))
    f = lambda z: other.log_prob(z)  # noqa: E731
    with pytest.raises(ValueError, match=r"are \(4,\), the shape of the logits, got"):
        jd.reinforce(f)(KEY, jd.OneHotCategorical(jnp.zeros(3)))


NUM = 100_000


def test_kl_is_infinite_where_the_other_masks():
    q, other = (
        jd.OneHotCategorical(jnp.zeros(2)),
        jd.OneHotCategorical(jnp.array([0.0, -jnp.inf])),
    )
    assert jnp.isposinf(q.kl_divergence(other))
    np.testing.assert_allclose(other.kl_divergence(q), np.log(2.0), rtol=1e-6)


def test_relaxed_categorical_density_against_the_change_of_variables():
    """For K = 2 the categorical is a Bernoulli: y1 - y2 is logistic."""
    logits, t = jnp.array([0.9, -0.4]), 0.7
    q, b = jd.OneHotCategorical(logits), jd.Bernoulli(logits[0] - logits[1])
    zeta = q.relaxed_sample(jax.random.key(0))
    y = q.temper(zeta, t)
    expected = b.relaxed_log_prob(y[0] - y[1], t)
    np.testing.assert_allclose(q.relaxed_log_prob(y, t), expected, rtol=1e-5)


def test_masked_relaxed_density_is_that_of_the_remaining_classes():
    full = jd.OneHotCategorical(jnp.array([0.3, -0.4]))
    masked = jd.OneHotCategorical(jnp.array([0.3, -0.4, -jnp.inf]))
    y = full.temper(full.relaxed_sample(jax.random.key(0)), 0.5)
    padded = jnp.append(y, -jnp.inf)
    assert_close(masked.relaxed_log_prob(padded, 0.5), full.relaxed_log_prob(y, 0.5))


def test_low_precision_logits_do_not_get_low_precision_noise():
    """bfloat16 Gumbels have 128 distinct values and the wrong mean."""
    q = jd.OneHotCategorical(jnp.zeros((NUM, 2), jnp.bfloat16))
    zeta = np.asarray(q.relaxed_sample(jax.random.key(0)))
    assert len(np.unique(zeta)) > NUM
    expected = 0.5772 - np.log(2.0)
    assert abs(zeta.mean() - expected) < 4.5 * 1.2825 / (2 * NUM) ** 0.5


SIGNIFICANCE = 1e-4
NUM_DRAWS = 200_000


def keys(seed=0, num=NUM_DRAWS):
    return jax.random.split(jax.random.key(seed), num)


LOGITS = jnp.array([0.3, -1.2, 2.0, -jnp.inf, 0.0])


def as_index(q):
    return lambda key: jnp.argmax(q.sample(key), axis=-1)


@pytest.mark.parametrize(
    "sample",
    [
        as_index(jd.OneHotCategorical(LOGITS)),
        lambda key: jd.noise.gumbel_max(key, LOGITS),
        lambda key: jd.noise.exponential_race(key, LOGITS),
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
    expected = np.asarray(jax.nn.softmax(LOGITS), np.float64) * NUM_DRAWS
    assert counts[3] == 0
    keep = expected > 0
    expected = expected[keep] * counts.sum() / expected[keep].sum()
    assert scipy.stats.chisquare(counts[keep], expected).pvalue > SIGNIFICANCE


@pytest.mark.parametrize(
    "num_classes", daily([1, 17], [1, 2, 15, 16, 17, 1000, 50_000])
)
def test_any_number_of_classes(num_classes):
    logits = jax.random.normal(jax.random.key(num_classes), (num_classes,))
    q = jd.OneHotCategorical(logits)
    num = min(NUM_DRAWS, 2**24 // num_classes)
    z = jax.jit(lambda k: jnp.argmax(jax.vmap(q.sample)(k), axis=-1))(keys(1, num))
    drawn = np.asarray(z)
    probabilities = np.asarray(jax.nn.softmax(logits), np.float64)
    groups = np.arange(num_classes) % min(num_classes, 8)
    expected = np.bincount(groups, probabilities / probabilities.sum()) * num
    counts = np.bincount(groups[drawn], minlength=len(expected))
    if len(expected) > 1:
        assert scipy.stats.chisquare(counts, expected).pvalue > SIGNIFICANCE
    assert counts.sum() == num
