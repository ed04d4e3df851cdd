"""What all distributions keep."""

import itertools

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
CATEGORICAL = jd.OneHotCategorical(jnp.array([[0.3, -1.2, 0.5], [0.0, 1.0, -jnp.inf]]))
BOTH = [BERNOULLI, CATEGORICAL]


@jax.jit
def probabilities(q):
    states = q.enumerate_support()
    return states, jnp.exp(jax.vmap(lambda z: q.log_prob(z).sum())(states))


@pytest.mark.parametrize("q", BOTH)
def test_support_moments_and_entropies(q):
    states, p = map(np.asarray, probabilities(q))
    assert len(states) == q.num_states == len(np.unique(np.asarray(states), axis=0))
    np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-6)
    mean = np.tensordot(p, np.asarray(states), axes=1)
    np.testing.assert_allclose(q.mean(), mean, rtol=1e-5, atol=1e-7)
    keep = p > 0
    entropy = -(p[keep] * np.log(p[keep])).sum()
    np.testing.assert_allclose(q.entropy().sum(), entropy, rtol=1e-5)
    assert q.entropy().shape == q.batch_shape == q.log_prob(states[0]).shape

    other = jax.tree.map(lambda x: 0.5 * x - 0.2, q)
    log_ratio = jax.jit(jax.vmap(lambda z: (q.log_prob(z) - other.log_prob(z)).sum()))(
        states
    )
    divergence = (p[keep] * np.asarray(log_ratio)[keep]).sum()
    np.testing.assert_allclose(q.kl_divergence(other).sum(), divergence, rtol=1e-5)
    np.testing.assert_allclose(q.kl_divergence(q), 0.0, atol=1e-7)


@pytest.mark.parametrize("q", BOTH)
@pytest.mark.parametrize("method", ["entropy", "mean"])
def test_gradients_are_finite(q, method):
    gradient = jax.jit(jax.grad(lambda q: getattr(q, method)().sum()))(q)
    assert all_finite(gradient)
    zero = jax.tree.map(jnp.zeros_like, q)
    assert all_finite(jax.jit(jax.grad(lambda q: q.kl_divergence(zero).sum()))(q))


@pytest.mark.parametrize("q", BOTH)
def test_threshold_of_conditional_sample_is_the_sample(q):
    keys = jax.random.split(jax.random.key(0), 2_000)

    @jax.jit
    def draw(q, z):
        zeta = jax.vmap(lambda k: q.conditional_relaxed_sample(k, z))(keys)
        return zeta, jax.vmap(q.threshold)(zeta)

    for scale in (0.0, 1.0, 30.0, 1e4):
        logits = scale * jnp.where(jnp.isinf(q.logits), -1.0, q.logits)
        for z in q.enumerate_support():
            zeta, again = draw(type(q)(logits), z)
            assert np.all(np.asarray(again) == np.asarray(z)[None])
            assert all_finite(zeta)


@pytest.mark.parametrize("q", BOTH)
def test_conditional_sample_is_marginally_the_relaxed_sample(q):
    keys = jax.random.split(jax.random.key(1), NUM)
    free = np.asarray(jax.jit(jax.vmap(q.relaxed_sample))(keys))

    def through_z(key):
        key_z, key_zeta = jax.random.split(key)
        return q.conditional_relaxed_sample(key_zeta, q.sample(key_z))

    given = np.asarray(
        jax.jit(jax.vmap(through_z))(jax.random.split(jax.random.key(2), NUM))
    )
    for index in itertools.product(*map(range, free.shape[1:])):
        a, b = free[(slice(None), *index)], given[(slice(None), *index)]
        if np.isneginf(a).all():
            assert np.isneginf(b).all()
            continue
        assert scipy.stats.ks_2samp(a, b).pvalue > 1e-4


@pytest.mark.parametrize("q", BOTH)
def test_coupled_conditional_has_the_derivative_of_the_conditional(q):
    """Invert the noise for a sample, and differentiate with that noise held fixed."""
    zeta = q.relaxed_sample(jax.random.key(4))
    z = q.threshold(zeta)
    finite = jax.tree.map(lambda x: jnp.where(jnp.isinf(x), -3.0, x), q)
    zeta = jnp.where(jnp.isinf(zeta), -4.0, zeta)
    assert_close(finite.coupled_conditional(zeta, z), zeta)
    direction = jax.random.normal(jax.random.key(5), q.logits.shape)
    coupled = lambda x: type(q)(x).coupled_conditional(zeta, z)  # noqa: E731
    _, moved = jax.jvp(coupled, (finite.logits,), (direction,))
    eps = 1e-3

    def conditional(logits):
        """zeta as a function of logits at the noise that gives it now."""
        logits, here = np.float64(logits), np.float64(zeta)
        now = np.float64(finite.logits)
        if isinstance(q, jd.Bernoulli):
            sign = np.where(np.asarray(z) > 0.5, 1.0, -1.0)
            v = np.expm1(sign * here) / (1.0 + np.exp(sign * now))
            return sign * np.log1p(v * (1.0 + np.exp(sign * logits)))
        log_pi = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        log_pi_now = now - np.log(np.exp(now).sum(-1, keepdims=True))
        top = (np.asarray(z) * here).sum(-1, keepdims=True)
        e = (np.exp(-here) - np.exp(-top)) * np.exp(log_pi_now)
        return -np.log(e / np.exp(log_pi) + np.exp(-top))

    d = np.asarray(direction)
    difference = conditional(finite.logits + eps * d) - conditional(
        finite.logits - eps * d
    )
    np.testing.assert_allclose(moved, difference / (2 * eps), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("t", [0.1, 0.01])
def test_relaxed_density_is_finite_on_its_own_samples(t):
    q = jd.Bernoulli(jax.random.normal(jax.random.key(0), (10,)))
    c = jd.OneHotCategorical(jax.random.normal(jax.random.key(1), (10, 5)))
    keys = jax.random.split(jax.random.key(2), 1000)
    for d in (q, c):

        def density(key, d=d):
            return d.relaxed_log_prob(d.temper(d.relaxed_sample(key), t), t)

        assert all_finite(jax.jit(jax.vmap(density))(keys))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("q", BOTH)
def test_dtype_is_that_of_the_logits(q, dtype):
    q = jax.tree.map(lambda x: x.astype(dtype), q)
    key = jax.random.key(0)
    zeta = q.relaxed_sample(key)
    z = q.sample(key)
    assert zeta.dtype == q.conditional_relaxed_sample(key, z).dtype == jnp.float32
    for x in (z, q.mean(), q.log_prob(z), q.entropy(), q.threshold(zeta)):
        assert x.dtype == jnp.dtype(dtype)
    assert q.relax(zeta, 0.5).dtype == jnp.dtype(dtype)
    assert q.enumerate_support().dtype == jnp.dtype(dtype)


def test_nan_logits_give_nan_samples():
    key = jax.random.key(0)
    q = jd.Bernoulli(jnp.array([jnp.nan, 0.0]))
    c = jd.OneHotCategorical(jnp.full((2,), -jnp.inf))
    for d in (q, c):
        for z in (d.sample(key), d.threshold(d.relaxed_sample(key))):
            assert bool(jnp.isnan(z.ravel()[0]))


def test_distributions_are_pytrees_that_tolerate_anything():
    axes = jax.tree.map(lambda _: 0, CATEGORICAL)
    assert isinstance(axes, jd.OneHotCategorical)
    shapes = jax.eval_shape(lambda q: q, BERNOULLI)
    assert shapes.logits.shape == (2,)
    with pytest.raises(AttributeError):
        BERNOULLI.logits = jnp.zeros(2)


@pytest.mark.parametrize(
    ("q", "z"),
    [
        (BERNOULLI, jnp.zeros(3)),
        (BERNOULLI, jnp.zeros(())),
        (CATEGORICAL, jnp.zeros((2, 4))),
        (CATEGORICAL, jnp.zeros(3)),
    ],
)
def test_a_sample_of_the_wrong_shape_is_an_error(q, z):
    with pytest.raises(ValueError, match="never broadcast: reshape one of them"):
        q.log_prob(z)


def test_too_many_states_and_different_shapes_are_errors():
    with pytest.raises(ValueError, match=r"at most 16777216 joint states .* 2\*\*40"):
        jd.Bernoulli(jnp.zeros(40)).enumerate_support()
    with pytest.raises(ValueError, match=r"one shape, got logits of shapes \(2,\)"):
        BERNOULLI.kl_divergence(jd.Bernoulli(jnp.zeros(3)))
