"""REBAR: its limits, its variance, and what trains it."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import assert_unbiased, exact_gradient, gradient_samples
from tests.helpers.trees import assert_close
from tests.multi_sample.problems import variance

KEY = jax.random.key(0)
TWO = jd.Bernoulli(jnp.array([0.3, -0.8]))


@pytest.mark.thorough
def test_variance_of_rebar_on_the_published_toy():
    """t = .45 at theta = .1: the modified relaxation gains, the plain one does not."""
    q = jd.Bernoulli(jnp.log(jnp.array([0.1 / 0.9])))
    toy = lambda z: jnp.sum((z - 0.45) ** 2)  # noqa: E731
    reinforce = np.log(variance(jd.reinforce(toy), q, num=400_000))
    tuned = jd.rebar(toy, temperature=2.0, scale=2.8, relaxation=jd.muprop_relaxation)
    modified = np.log(variance(tuned, q, num=400_000))
    np.testing.assert_allclose([reinforce, modified], [-4.87, -5.94], atol=0.05)
    keys = jax.random.split(KEY, 200_000)

    def plain(setting):
        t, scale = setting
        gradient = jax.grad(jd.rebar(toy, temperature=t, scale=scale), argnums=1)
        return jnp.var(jax.vmap(gradient, (0, None))(keys, q).logits)

    # The plain relaxation gains nothing at moderate temperatures, whatever the scale.
    grid = jnp.array(list(itertools.product((0.1, 0.5, 1.0), (0.05, 0.3, 1.0))))
    variances = jax.jit(lambda: jax.lax.map(plain, grid))()
    assert np.all(np.log(variances) > reinforce - 0.05)


def test_untuned_rebar_can_have_much_more_variance_than_reinforce():
    """Scale 1 and temperature .1 on the scalar toy: what training is for."""
    q = jd.Bernoulli(jnp.zeros(1))
    toy = lambda z: jnp.sum((z - 0.45) ** 2)  # noqa: E731
    untuned = variance(jd.rebar(toy, temperature=0.1, scale=1.0), q)
    assert untuned > 3 * variance(jd.reinforce(toy), q)


CLASSES = jd.OneHotCategorical(jnp.array([[0.3, -0.8, 0.5], [0.0, 1.0, -jnp.inf]]))
BITS = jd.Bernoulli(jnp.array([0.3, -0.8]))


@pytest.mark.parametrize("q", [CLASSES, BITS])
def test_rebar_tends_to_muprop_at_high_temperature(q):
    """With the modified relaxation and the same hard sample."""

    def f(z):
        return jnp.sum(jnp.sin(2.0 * z) * jnp.arange(1.0, z.size + 1).reshape(z.shape))

    rebar = jd.rebar(f, temperature=1e5, scale=1.0, relaxation=jd.muprop_relaxation)
    value, gradient = jax.jit(jax.value_and_grad(rebar, 1))(KEY, q)
    z = q.threshold(q.relaxed_sample(KEY))
    m = q.mean()
    score = jax.jit(jax.grad(lambda d: d.log_prob(z).sum()))(q).logits
    # The derivative of the relaxation vanishes like 1 / temperature.
    expected = (f(z) - f(m)) * score
    assert_close(value, f(z))
    assert_close(gradient.logits, expected, atol=1e-3)


def test_relaxed_f_returns_one_scalar():
    for transform in (functools.partial(jd.rebar, temperature=0.5), jd.muprop):
        estimate = transform(jnp.sum, relaxed_f=lambda z: None)
        with pytest.raises(TypeError, match="relaxed_f to return one real scalar, got"):
            estimate(jax.random.key(0), TWO)


def test_relaxed_f_replaces_f_in_the_control_variate():
    """A cheaper stand-in leaves the gradient unbiased and is what is evaluated."""
    seen = []

    def f(z):
        seen.append("f")
        return 3.0 * z[0] - 3.0 * z[1] + z[0] * z[1] - 0.5

    def stand_in(s):
        seen.append("stand_in")
        return 3.0 * s[0] - 3.0 * s[1]

    estimate = jd.rebar(f, temperature=0.5, scale=1.0, relaxed_f=stand_in)
    samples = gradient_samples(estimate, TWO)
    assert_unbiased(samples, exact_gradient(f, TWO))
    assert "stand_in" in seen
