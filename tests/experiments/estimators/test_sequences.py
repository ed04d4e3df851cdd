"""Estimators that only decisions in sequence tell apart."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.table import ESTIMATORS

STEP = jnp.zeros((), jnp.int32)


def test_an_untrained_q_is_sampled_and_gets_no_gradient():
    """The sample is that of REINFORCE, and f keeps the derivative it has there."""

    def loss(params, key, name):
        def f(z, inputs):
            return jnp.sum(params["w"] * z)

        estimate = ESTIMATORS[name]().build(f, {}, STEP)
        return estimate(key, jd.Bernoulli(params["logits"]), jnp.zeros(0))

    params = {"logits": jnp.array([0.3, -0.2, 0.1]), "w": jnp.array([1.0, 2.0, 4.0])}
    found = {
        name: jax.value_and_grad(loss)(params, jax.random.key(1), name)
        for name in ("untrained", "reinforce")
    }
    (value, grads), (expected, of_reinforce) = found.values()
    assert value == expected
    np.testing.assert_array_equal(grads["w"], of_reinforce["w"])
    np.testing.assert_array_equal(grads["logits"], 0.0)
    assert np.any(np.asarray(of_reinforce["logits"]) != 0.0)
    assert not ESTIMATORS["untrained"].facts.is_unbiased


def test_credit_is_what_follows_or_the_whole_sequence():
    costs = jnp.array([1.0, 0.0, 2.0])
    to_go, whole = (
        ESTIMATORS[name]().credit(costs)
        for name in ("nvil", "reinforce_whole_sequence")
    )
    np.testing.assert_array_equal(to_go, [3.0, 2.0, 2.0])
    np.testing.assert_array_equal(whole, [3.0, 3.0, 3.0])
