"""Gumbel-Softmax: limits, bias and variance, and its samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import assert_unbiased, exact_gradient, gradient_samples
from tests.helpers.trees import assert_close


def test_one_class_has_no_critical_temperature():
    with pytest.raises(ValueError, match=r"num_classes >= 2 in .*, got 1"):
        jd.critical_temperature(1)


KEY = jax.random.key(0)
Q = jd.OneHotCategorical(jnp.array([[0.3, -0.8, 0.5], [0.0, 1.0, -jnp.inf]]))
B = jd.Bernoulli(jnp.array([0.3, -0.8]))


@pytest.mark.thorough
def test_gumbel_softmax_bias_falls_and_variance_rises_as_temperature_falls():
    def f(z):
        return jnp.cos(jnp.dot(z, jnp.arange(4.0)))

    q = jd.OneHotCategorical(jnp.array([0.5, 0.0, -0.5, 0.2]))
    exact = exact_gradient(f, q)
    bias, variance = [], []
    for t in (0.1, 0.5, 2.0):
        samples = gradient_samples(jd.gumbel_softmax(f, temperature=t), q)
        bias.append(np.abs(samples.mean(0) - exact).max())
        variance.append(samples.var(axis=0).sum())
    assert bias[0] < bias[1] < bias[2]
    assert variance[0] > variance[1] > variance[2]


def test_gumbel_softmax_is_unbiased_for_the_relaxed_objective():
    """d/d logit of E sigmoid((a + L) / t) by quadrature."""
    a, t = 0.4, 0.5
    u = (np.arange(2_000_000) + 0.5) / 2_000_000
    noise = np.log(u) - np.log1p(-u)
    s = 1.0 / (1.0 + np.exp(-(a + noise) / t))
    expected = np.mean(2 * s * s * (1 - s) / t)
    estimate = jd.gumbel_softmax(lambda z: z**2, temperature=t)
    samples = gradient_samples(estimate, jd.Bernoulli(jnp.array(a)))
    assert_unbiased(samples, np.array([expected]))


def test_gradient_of_the_temperature_is_that_of_the_loss():
    f = lambda z: jnp.sum(z**2)  # noqa: E731

    def loss(t):
        return jd.gumbel_softmax(f, temperature=t)(KEY, B)

    zeta = B.relaxed_sample(KEY)
    expected = jax.jit(jax.grad(lambda t: f(B.relax(zeta, t))))(0.7)
    assert_close(jax.jit(jax.grad(loss))(0.7), expected)


def test_sample_gumbel_softmax_matches_the_transform():
    logits = Q.logits
    for t in (0.3, jnp.array([0.3, 0.9])):
        soft = jd.sample_gumbel_softmax(KEY, logits, t)
        hard = jd.sample_gumbel_softmax(KEY, logits, t, hard=True)
        assert soft.shape == hard.shape == logits.shape
        assert_close(soft.sum(-1), jnp.ones(2))
        assert_close(jnp.argmax(soft, -1), jnp.argmax(hard, -1))
        assert np.isin(np.asarray(hard), (0.0, 1.0)).all()
        weight = jnp.arange(6.0).reshape(2, 3)

        def total(x, hard, t=t, weight=weight):
            return jnp.sum(jd.sample_gumbel_softmax(KEY, x, t, hard) * weight)

        slopes = [jax.grad(total)(logits, h) for h in (False, True)]
        assert_close(slopes[0], slopes[1])


@pytest.mark.thorough
@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_density_is_log_convex_up_to_the_critical_temperature(num_classes):
    """On a line through the simplex, by second differences of the log-density."""
    t = jd.critical_temperature(num_classes)
    q = jd.OneHotCategorical(jnp.zeros(num_classes))
    corner = jnp.zeros(num_classes).at[0].set(1.0)
    ends = [0.98 * corner + 0.02 / num_classes, jnp.full(num_classes, 1 / num_classes)]
    line = [ends[0] + w * (ends[1] - ends[0]) for w in np.linspace(0, 1.0, 41)]
    line = jnp.stack(line + [2 * ends[1] - s for s in line[-2:-4:-1]])

    def log_density(s, temperature):
        y = jnp.log(s)
        return q.relaxed_log_prob(y, temperature) - y.sum()

    def is_convex(temperature):
        values = jax.vmap(lambda s: log_density(s, temperature))(line)
        second = values[2:] - 2 * values[1:-1] + values[:-2]
        return bool((second[:40] > -1e-4).all())

    assert is_convex(t)
    assert not is_convex(10.0 * t)
