"""A control variate of one's own, at every sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import exact_gradient
from tests.helpers.trees import assert_close
from tests.score_function.problems import (
    KEY,
    WEIGHTS,
    Q,
    every_sample,
    f,
    gradients_at_every_sample,
)


def control(z, t=1.0):
    return t * (jnp.sum(z["bits"]) + jnp.dot(z["classes"], WEIGHTS**2))


def mean(q, t=1.0):
    return t * (jnp.sum(q["bits"].mean()) + jnp.dot(q["classes"].mean(), WEIGHTS**2))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.thorough),
        pytest.param({"scale": 0.0}, marks=pytest.mark.thorough),
        {"scale": {"bits": jnp.array([0.7, -2.0]), "classes": 0.5}, "baseline": 3.0},
    ],
    ids=["plain", "none", "scales"],
)
def test_the_mean_over_every_sample_is_the_exact_gradient(options):
    t = jnp.array(1.3)
    gradients = gradients_at_every_sample(
        jd.control_variate(f, control, mean, **options), t
    )
    _, p = every_sample()
    np.testing.assert_allclose(p @ gradients, exact_gradient(f, Q, t), rtol=1e-5)
    assert np.all(gradients.std(axis=0) > 0.1)


@pytest.mark.thorough
def test_a_control_that_is_f_leaves_no_variance():
    estimate = jd.control_variate(
        f, lambda z: f(z), lambda q: jd.exact(f)(KEY, q), scale=1.0
    )
    gradients = gradients_at_every_sample(estimate)
    expected = np.tile(exact_gradient(f, Q), (len(gradients), 1))
    np.testing.assert_allclose(gradients, expected, rtol=1e-5, atol=1e-6)


def test_an_expansion_point_made_of_q_is_constant():
    """MuProp, written by hand: its mean moves with q and its centre does not."""

    def by_hand(key, q):
        centre = jax.tree.map(
            lambda d: d.mean(), q, is_leaf=lambda d: isinstance(d, jd.Sampler)
        )
        value, slope = jax.value_and_grad(f)(centre)

        def at(z):
            parts = jax.tree.map(lambda s, x, c: jnp.sum(s * (x - c)), slope, z, centre)
            return value + sum(jax.tree.leaves(parts))

        def mean(q):
            return at({name: d.mean() for name, d in q.items()})

        return jd.control_variate(f, at, mean)(key, q)

    gradients = [
        jax.jit(jax.value_and_grad(estimate, 1))(KEY, Q)
        for estimate in (by_hand, jd.muprop(f))
    ]
    assert_close(*gradients)


def test_what_the_control_and_its_mean_close_over_or_are_given_is_constant():
    """Only f passes a gradient on, and that is the one at the sample."""

    def loss(t, inside):
        estimate = jd.control_variate(
            lambda z, t: (f(z, t), z),
            lambda z, t: inside * control(z, t),
            lambda q, t: inside * mean(q, t),
            has_aux=True,
        )
        return estimate(KEY, Q, t)

    (to_t, to_inside), z = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(2.0, 0.6)
    np.testing.assert_allclose(to_t, f(z), rtol=1e-6)
    assert to_inside == 0


def test_control_and_mean_must_return_one_scalar(no_compute):
    q, total = Q["bits"], jnp.sum
    with pytest.raises(ValueError, match=r"Expected control to return one real scalar"):
        jd.control_variate(total, lambda z: z, lambda q: q.mean().sum())(KEY, q)
    with pytest.raises(ValueError, match=r"Expected mean to return one real scalar"):
        jd.control_variate(total, total, lambda q: q.mean())(KEY, q)
