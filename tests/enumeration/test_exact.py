"""The exact expectation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.samplers import BareSampler
from tests.helpers.trees import assert_close

KEY = jax.random.key(0)
Q = jd.Bernoulli(jnp.array([0.3, -0.8]))


def total(z):
    return jnp.sum(z)


def test_too_many_states():
    with pytest.raises(ValueError, match=r"max_states=65536 .*got 1099511627776"):
        jd.exact(total)(KEY, jd.Bernoulli(jnp.zeros(40)))
    with pytest.raises(ValueError, match=r"max_states=3 joint states.*got 4"):
        jd.exact(total, max_states=3)(KEY, Q)


def test_exact_names_what_it_needs():
    with pytest.raises(TypeError, match=r"got BareSampler.*enumerate_support"):
        jd.exact(total)(KEY, BareSampler(jnp.zeros(2)))


@pytest.mark.thorough
def test_value_gradient_and_hessian_of_a_product():
    logits = jnp.array([0.3, -0.8])

    def loss(logits):
        return jd.exact(lambda z: z[0] * z[1])(KEY, jd.Bernoulli(logits))

    def closed(logits):
        return jnp.prod(jax.nn.sigmoid(logits))

    for transform in (lambda f: f, jax.grad, jax.hessian, jax.jacfwd):
        assert_close(transform(loss)(logits), transform(closed)(logits))


@pytest.mark.thorough
def test_pytrees_of_distributions():
    q = {"a": jd.Bernoulli(jnp.array(0.4)), "b": jd.OneHotCategorical(jnp.zeros(3))}
    f = lambda z: z["a"] * jnp.dot(z["b"], jnp.arange(3.0)) + 1.0  # noqa: E731
    expected = jax.nn.sigmoid(0.4) * 1.0 + 1.0
    assert_close(jd.exact(f)(KEY, q), expected)


def test_f_at_impossible_states_counts_for_nothing():
    """Neither its value nor its derivative, infinite or not."""
    q = jd.OneHotCategorical(jnp.array([0.0, -jnp.inf]))

    def loss(q, t):
        return jd.exact(lambda z, t: jnp.log(t * z[0]))(KEY, q, t)

    value, (to_q, to_t) = jax.jit(jax.value_and_grad(loss, (0, 1)))(q, jnp.array(2.0))
    assert_close((value, to_t), (np.log(2.0), 0.5))
    assert_close(to_q.logits, jnp.zeros(2))


def test_support_and_probability_are_enough():
    class Die:
        num_states = 6

        def sample(self, key):
            return jax.random.randint(key, (), 1, 7).astype(jnp.float32)

        def log_prob(self, z):
            return -jnp.log(6.0) + 0.0 * z

        def enumerate_support(self):
            return jnp.arange(1.0, 7.0)

    assert_close(jax.jit(lambda: jd.exact(lambda z: z)(KEY, Die()))(), 3.5)


@pytest.mark.parametrize("constant", daily([1e6], [1e5, 1e6]))
def test_a_large_constant_in_f_leaves_the_gradient_as_it_is(constant):
    """Every value of f is exact in float32, and so must be what differs."""
    q = jd.OneHotCategorical(jnp.array([-1.0, 0.3, 0.8]))
    f = lambda z: constant + jnp.dot(z, jnp.array([1.0, 2.0, 3.0]))  # noqa: E731

    @jax.jit
    def both(q):
        without = jd.exact(lambda z: f(z) - constant)
        return jax.grad(jd.exact(f), 1)(KEY, q), jax.grad(without, 1)(KEY, q)

    gradient, expected = both(q)
    np.testing.assert_allclose(gradient.logits, expected.logits, rtol=1e-5)


def test_aux_is_its_expectation():
    q = jd.Bernoulli(jnp.array([0.3, -0.8]))
    f = lambda z: (jnp.sum(z), {"z": z, "square": z[0] ** 2})  # noqa: E731
    value, aux = jax.jit(jd.exact(f, has_aux=True))(KEY, q)
    np.testing.assert_allclose(aux["z"], q.mean(), rtol=1e-6)
    np.testing.assert_allclose(aux["square"], q.mean()[0], rtol=1e-6)
    np.testing.assert_allclose(value, q.mean().sum(), rtol=1e-6)


def test_aux_that_has_no_expectation_is_refused():
    f = lambda z: (jnp.sum(z), z > 0.5)  # noqa: E731
    with pytest.raises(
        TypeError, match=r"aux of floating arrays .* got bool\. Convert"
    ):
        jd.exact(f, has_aux=True)(KEY, jd.Bernoulli(jnp.zeros(2)))
