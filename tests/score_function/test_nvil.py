"""NVIL: a baseline that is fitted by squared error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.trees import assert_close

KEYS = jax.random.split(jax.random.key(5), 64)
Q = jd.Bernoulli(jnp.array([0.3, -0.8]))


def f(z):
    weights = jnp.arange(1.0, z.size + 1.0, dtype=z.dtype)
    return jnp.sum(jnp.sin(2.0 * z) * weights) + z[0] ** 2 * z[1] - 0.5


@pytest.mark.parametrize("with_centre", [False, True])
def test_nvil_is_fitted_by_squared_error(with_centre):
    params = {"b": jnp.array(0.4), "c": jnp.array(0.3), "v": jnp.array(9.0)}

    def loss(p, key):
        extra = {"centre": p["c"], "variance": p["v"]} if with_centre else {}
        return jd.nvil(f, baseline=lambda: 2.0 * p["b"], **extra)(key, Q)

    key = KEYS[1]
    value = float(loss(params, key))
    b, c, v = 0.8, 0.3 * with_centre, 9.0
    received = jax.jit(jax.grad(loss))(params, key)
    error = value - b - c
    np.testing.assert_allclose(received["b"], -2.0 * error, rtol=1e-5)
    if with_centre:
        np.testing.assert_allclose(received["c"], -error, rtol=1e-5)
        np.testing.assert_allclose(received["v"], -(error**2 - v), rtol=1e-5)
    score = jax.grad(lambda q: q.log_prob(Q.sample(key)).sum())(Q).logits
    to_q = jax.grad(
        lambda q: jd.nvil(
            f,
            baseline=b,
            centre=c if with_centre else None,
            variance=v if with_centre else None,
        )(key, q)
    )
    to_q = jax.jit(to_q)(Q).logits
    scale = 3.0 if with_centre else 1.0
    np.testing.assert_allclose(to_q, error / scale * score, rtol=1e-4)


def test_moving_average_is_plain_sgd_on_the_baseline():
    c, rate, reference = jnp.array(0.0), 0.1, 0.0

    def loss(c, q, key):
        return jd.nvil(f, baseline=c)(key, q)

    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    score_of = jax.jit(jax.grad(lambda q, key: q.log_prob(Q.sample(key)).sum()))
    for key in KEYS[:5]:
        value, (slope, gradient) = both(c, Q, key)
        # The gradient of this step uses the average without this step's sample.
        expected = (value - reference) * score_of(Q, key).logits
        np.testing.assert_allclose(gradient.logits, expected, rtol=1e-5)
        c = c - rate * slope
        reference = (1 - rate) * reference + rate * float(value)
        np.testing.assert_allclose(c, reference, rtol=1e-6)


def test_nvil_with_a_centre_alone_is_a_moving_average():
    by_centre = jd.nvil(f, centre=jnp.array(0.4))
    by_baseline = jd.nvil(f, baseline=jnp.array(0.4))
    gradients = [jax.jit(jax.grad(e, 1))(KEYS[0], Q) for e in (by_centre, by_baseline)]
    assert_close(*gradients)
