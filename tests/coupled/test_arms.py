"""ARMS: what it reduces to, and where its variance is less."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.coupled.antithetic import disarm_gradient
from tests.coupled.problems import (
    BITS,
    COPULAS,
    KEY,
    compare_with_leave_one_out,
    of_bits,
)
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_less_variance
from tests.helpers.trees import assert_close


def test_two_samples_of_arms_are_disarm():
    estimate = jd.arms(lambda z: (of_bits(z), z), num_samples=2, has_aux=True)
    gradient = jax.jit(jax.vmap(jax.grad(estimate, 1, has_aux=True), (0, None)))
    ours, z = gradient(jax.random.split(KEY, 20), BITS)
    theirs = jax.jit(
        jax.vmap(
            lambda pair: disarm_gradient(BITS, pair, jax.vmap(of_bits)(pair)).logits
        )
    )(z)
    assert bool(jnp.any(ours.logits != 0))
    assert_close(ours.logits, theirs)


def test_independent_samples_make_arms_leave_one_out():
    def independent(key, num_samples, rare_probability):
        shape = (num_samples, *rare_probability.shape)
        u = jax.random.uniform(key, shape)
        return u < rare_probability[None], jnp.zeros_like(rare_probability)

    estimate = jd.arms(
        lambda z: (of_bits(z), z), num_samples=4, copula=independent, has_aux=True
    )
    gradient, z = jax.jit(jax.grad(estimate, 1, has_aux=True))(KEY, BITS)
    values = jax.jit(jax.vmap(of_bits))(z)
    scores = z - BITS.mean()[None]
    expected = ((values - values.mean())[:, None] * scores).sum(axis=0) / 3
    assert bool(jnp.any(expected != 0))
    assert_close(gradient.logits, expected)


def test_infinite_logits_have_no_gradient():
    q = jd.Bernoulli(jnp.array([jnp.inf, -jnp.inf, 0.0]))
    for copula in COPULAS:
        estimate = jd.arms(lambda z: 1e6 + of_bits(z), num_samples=3, copula=copula)
        gradient = jax.jit(jax.grad(estimate, 1))(KEY, q).logits
        assert np.all(np.asarray(gradient[:2]) == 0)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("copula", "num_variables", "num_samples"),
    daily(
        [(jd.dirichlet_copula, 3, 4), (jd.gaussian_copula, 3, 4)],
        [
            (jd.dirichlet_copula, 1, 4),
            (jd.dirichlet_copula, 3, 2),
            (jd.dirichlet_copula, 3, 4),
            (jd.gaussian_copula, 3, 4),
        ],
    ),
)
def test_arms_gains_where_f_is_linear_and_variables_are_alike(
    copula, num_variables, num_samples
):
    q = jd.Bernoulli(jnp.full(num_variables, -0.4))
    f = lambda z: jnp.dot(z, jnp.arange(2.0, 2.0 + num_variables))  # noqa: E731
    ours, theirs = compare_with_leave_one_out(jd.arms, f, q, num_samples, copula=copula)
    assert_less_variance(ours, theirs)


@pytest.mark.thorough
def test_arms_loses_for_a_rare_variable_beside_a_weighty_even_one():
    """The noise of the even one is doubled by coupling, the rare one's weight kept."""
    q = jd.Bernoulli(jnp.array([-4.0, 0.0]))
    f = lambda z: 10.0 * z[1] + z[0]  # noqa: E731
    ours, theirs = compare_with_leave_one_out(jd.arms, f, q, 2)
    assert_less_variance(theirs[:, :1], ours[:, :1])
