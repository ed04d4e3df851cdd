"""A sum over some states and one sample of the others."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.sets import STATES, distance, set_probabilities, toy
from tests.helpers.statistics import K_SIGMA, exact_gradient, gradient_samples
from tests.helpers.trees import assert_close

KEY = jax.random.key(0)


def rest_variance(enumerated, eta):
    """Of the exact sum over some states and one sample of the others."""
    p, values, scores, _ = toy(eta)
    rest = np.setdiff1d(np.arange(8), list(enumerated))
    mass = p[rest].sum()
    terms = mass * values[rest, None] * scores[rest]
    mean = p[rest] / mass @ terms
    return (p[rest] / mass @ (terms - mean) ** 2).sum()


@pytest.mark.thorough
def test_partial_enumeration_has_the_variance_of_its_rest():
    eta = -4.0
    order = np.argsort(-toy(eta)[0], kind="stable")
    q = jd.Bernoulli(jnp.full(3, eta))
    for num_states in (1, 4):
        # Which of several equally likely states are summed is not told: any of them
        # has the same variance within its group only if the group is summed whole.
        assert toy(eta)[0][order[num_states]] < toy(eta)[0][order[num_states - 1]]
        estimate = jd.partial_enumeration(distance, num_states=num_states)
        samples = gradient_samples(estimate, q, num=50_000)
        expected = rest_variance(order[:num_states], eta)
        np.testing.assert_allclose(samples.var(axis=0).sum(), expected, rtol=0.05)


@pytest.mark.thorough
def test_sum_and_sample_has_the_variance_of_its_rest():
    p = toy(0.0)[0]
    law = set_probabilities(p, 0.0)
    sets = list(itertools.combinations(range(8), 3))
    expected = sum(law[sum(1 << i for i in s)] * rest_variance(s, 0.0) for s in sets)
    estimate = jd.sum_and_sample(distance, num_samples=4)
    samples = gradient_samples(estimate, jd.Bernoulli(jnp.zeros(3)), num=50_000)
    np.testing.assert_allclose(samples.var(axis=0).sum(), expected, rtol=0.05)


@pytest.mark.parametrize("name", ["sum_and_sample", "partial_enumeration"])
def test_two_hundred_variables_of_which_few_are_free(name):
    logits = jnp.full(200, 1e4).at[:2].set(jnp.array([0.3, -0.4]))
    f = lambda z: z[0] * z[1] + z.sum() / 100.0  # noqa: E731
    make = {
        "sum_and_sample": jd.sum_and_sample(f, num_samples=4),
        "partial_enumeration": jd.partial_enumeration(f, num_states=4),
    }[name]
    gradient = jax.jit(jax.grad(make, 1))(KEY, jd.Bernoulli(logits)).logits
    exact = exact_gradient(
        lambda z: z[0] * z[1] + z.sum() / 100.0 + 1.98, jd.Bernoulli(logits[:2])
    )
    assert_close(gradient[:2], exact, rtol=1e-4, atol=1e-5)
    assert_close(gradient[2:], np.zeros(198), atol=1e-5)


@pytest.mark.parametrize("name", ["sum_and_sample", "partial_enumeration"])
def test_baseline_is_trained_by_the_second_moment(name):
    q = jd.Bernoulli(jnp.array([0.3, -0.7]))

    def f(z):
        return 3.0 * z[0] - z[1] ** 2 + 1.0, z

    def loss(c):
        options = {"baseline": c, "has_aux": True}
        if name == "sum_and_sample":
            return jd.sum_and_sample(f, num_samples=2, **options)(KEY, q)
        return jd.partial_enumeration(f, num_states=1, **options)(KEY, q)

    c = jnp.array(0.4)
    gradient, z = jax.jit(jax.grad(loss, has_aux=True))(c)
    mass = jnp.exp(q.log_prob(z[0]).sum())
    weights = jnp.stack([mass, 1.0 - mass])
    values, scores = jax.jit(jax.vmap(lambda z: f(z)[0]))(z), z - q.mean()[None]

    def second_moment(c):
        return jnp.sum(jnp.square((weights * (values - c)) @ scores))

    assert_close(gradient, jax.jit(jax.grad(second_moment))(c), rtol=1e-4)


def test_partial_enumeration_sums_the_likeliest_and_samples_another():
    q = jd.Bernoulli(jnp.array([2.0, -1.0, 0.5]))
    estimate = jd.partial_enumeration(
        lambda z: (z.sum(), z), num_states=2, has_aux=True
    )
    keys = jax.random.split(KEY, 20_000)
    values, z = jax.jit(jax.vmap(estimate, (0, None)))(keys, q)
    error = np.mean(values) - float(q.mean().sum())
    assert abs(error) < K_SIGMA * np.std(values) / np.sqrt(len(keys))
    likeliest = [[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert np.all(np.asarray(z)[:, :2] == likeliest)
    p = np.prod(np.where(STATES == 1, q.mean(), 1.0 - q.mean()), axis=-1)
    is_summed = (STATES[:, None] == likeliest).all(-1).any(-1)
    expected = np.where(is_summed, 0.0, p) / p[~is_summed].sum()
    frequency = (np.asarray(z)[:, 2, None] == STATES).all(-1).mean(axis=0)
    se = np.sqrt(expected * (1.0 - expected) / len(keys))
    assert np.all(np.abs(frequency - expected) <= K_SIGMA * se)


@pytest.mark.parametrize(
    "transform",
    [
        lambda b: jd.sum_and_sample(distance, num_samples=2, baseline=b),
        lambda b: jd.partial_enumeration(distance, num_states=2, baseline=b),
    ],
)
def test_baseline_must_be_one_scalar(transform):
    for bad in (jnp.zeros(2), lambda: jnp.zeros(2)):
        with pytest.raises(ValueError, match=r"baseline to return one .* shape \(2,\)"):
            transform(bad)(KEY, jd.Bernoulli(jnp.zeros(3)))


@pytest.mark.parametrize("offset", daily([1e6], [0.0, 1e5, 1e6]))
@pytest.mark.parametrize(
    "complete",
    [
        lambda f: jd.sum_and_sample(f, num_samples=3),
        lambda f: jd.partial_enumeration(f, num_states=2),
        lambda f: jd.partial_enumeration(f, num_states=3),
    ],
)
def test_what_all_values_have_in_common_rounds_nothing_away(complete, offset):
    """Over all states the scores sum to zero, so that the offset means nothing."""
    q = jd.OneHotCategorical(jnp.array([-1.0, 0.3, 0.8]))
    rewards = jnp.array([1.0, 2.0, 3.0])
    gradient = jax.jit(jax.grad(complete(lambda z: offset + z @ rewards), 1))
    expected = jax.jit(jax.grad(lambda x: jax.nn.softmax(x) @ rewards))(q.logits)
    np.testing.assert_allclose(
        gradient(jax.random.key(0), q).logits, expected, rtol=1e-6
    )
