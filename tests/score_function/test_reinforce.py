"""REINFORCE: its constant baseline, and what reaches it."""

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from tests.helpers.statistics import map_in_chunks
from tests.multi_sample.problems import KEY, Q, f, variance

KEYS = jax.random.split(jax.random.key(5), 64)
TWO = jd.Bernoulli(jnp.array([0.3, -0.8]))


def test_baseline_inputs_through_arguments_get_no_gradient():
    def loss(x, key):
        objective = lambda z, x: jnp.sum(z) * 1.0  # noqa: E731
        return jd.reinforce(objective, baseline=lambda x: x**2)(key, TWO, x)

    assert jax.jit(jax.grad(loss))(jnp.array(0.7), KEYS[0]) == 0.0


def test_aux_may_be_anything():
    value, aux = jd.reinforce(lambda z: (jnp.sum(z), "text"), has_aux=True)(
        KEYS[0], TWO
    )
    assert aux == "text"
    assert value == jnp.sum(TWO.sample(KEYS[0]))


def test_the_optimal_constant_has_the_least_variance():
    """The constant fitted by the variance is the ratio of the talk."""
    states, log_p = Q.enumerate_support(), None
    log_p = jax.jit(jax.vmap(lambda z: Q.log_prob(z).sum()))(states)
    scores = states - Q.mean()[None]
    weight = jnp.exp(log_p) * jnp.sum(scores**2, axis=1)
    optimal = jnp.sum(weight * jax.jit(jax.vmap(f))(states)) / weight.sum()
    slope = jax.grad(lambda c, key: jd.reinforce(f, baseline=c)(key, Q))
    keys = jax.random.split(KEY, 200_000)
    slopes = map_in_chunks(lambda key: slope(optimal, key), keys)
    se = float(slopes.std()) / len(slopes) ** 0.5
    assert abs(float(slopes.mean())) < 4.5 * se
    here = variance(jd.reinforce(f, baseline=float(optimal)))
    for shift in (-1.0, 1.0):
        assert variance(jd.reinforce(f, baseline=float(optimal) + shift)) > here
