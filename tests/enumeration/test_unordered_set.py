"""The unordered set: its law, and that it is never worse than leave-one-out."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.distributions.set_probability import set_weights
from jaxdiscrete.enumeration.unordered_set import unordered_set_signals
from tests.helpers.sets import distance, set_probabilities, toy
from tests.helpers.statistics import gradient_samples
from tests.helpers.trees import assert_close

KEY = jax.random.key(0)


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


@pytest.mark.thorough
def test_unordered_set_has_the_variance_of_its_law():
    estimate = jd.unordered_set(distance, num_samples=4)
    samples = gradient_samples(estimate, jd.Bernoulli(jnp.zeros(3)), num=50_000)
    variance = unordered_set_law(4, 0.0)[2]
    np.testing.assert_allclose(samples.var(axis=0).sum(), variance, rtol=0.05)


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
    values = jax.jit(jax.vmap(lambda x: f(x)[0]))(z)
    assert len(np.unique(np.asarray(z), axis=0)) == k
    scores = z - jax.nn.sigmoid(logits)[None, :]
    expected = (values - values.mean()) @ scores / (k - 1)
    assert_close(value, values.mean(), rtol=1e-5)
    assert_close(gradient.logits, expected, rtol=1e-3, atol=1e-4)


def test_a_constant_of_any_size_leaves_no_gradient():
    estimate = jd.unordered_set(lambda z: 1e8 + 0.0 * z[0], num_samples=3)
    step = jax.jit(jax.grad(estimate, 1))
    gradient = step(KEY, jd.Bernoulli(jnp.array([0.3, -0.7])))
    assert np.all(gradient.logits == 0.0)
