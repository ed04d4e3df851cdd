"""Baselines and scales that only files can ask for."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import LatentSpec
from jaxdiscrete.experiments.estimators.score_function import (
    BaselineAtOnes,
    ConstantBaseline,
    Rebar,
)

Q = jd.Bernoulli(jnp.array([0.3, -0.2, 0.5]))
STEP, NOTHING = jnp.zeros((), jnp.int32), jnp.zeros(0)
LATENTS = LatentSpec(jnp.zeros(3), (3,), NOTHING)


def f(z, inputs):
    return jnp.sum((z - 0.4) ** 2) + z[0] * z[2]


def gradient(estimator, cv, f=f):
    estimate = estimator.build(f, cv, STEP)
    grads = jax.grad(estimate, argnums=1)(jax.random.key(3), Q, NOTHING)
    return np.asarray(grads.logits)


def test_the_baseline_at_ones_is_f_where_every_variable_is_one():
    at_ones = gradient(BaselineAtOnes(), {})
    constant = {"baseline": f(jnp.ones(3), NOTHING)}
    np.testing.assert_allclose(at_ones, gradient(ConstantBaseline(), constant))
    assert np.abs(at_ones).max() > 0
    none = gradient(BaselineAtOnes(), {}, lambda z, inputs: 3.0 + 0.0 * z.sum())
    np.testing.assert_array_equal(none, 0.0)


def test_nothing_of_a_baseline_at_ones_reaches_what_f_is_made_of():
    def loss(weight, key):
        estimate = BaselineAtOnes().build(lambda z, _: weight * z[0], {}, STEP)
        return estimate(key, Q, NOTHING)

    keys = jax.random.split(jax.random.key(0), 8)
    slopes = jax.vmap(jax.grad(loss), (None, 0))(jnp.array(2.0), keys)
    drawn = jax.vmap(Q.sample)(keys)[:, 0]
    np.testing.assert_array_equal(slopes, drawn)


def test_rebar_leaves_alone_what_is_not_to_be_trained():
    fixed = Rebar(temperature=0.1, train_temperature=False, train_scale=False)
    assert fixed.init(jax.random.key(0), LATENTS) == {}
    trained = Rebar(temperature=0.1)
    cv = trained.init(jax.random.key(0), LATENTS)
    assert set(cv) == {"scale", "log_temperature"}
    np.testing.assert_allclose(gradient(fixed, {}), gradient(trained, cv), rtol=1e-4)
