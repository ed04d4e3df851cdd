"""A derivative that is not that of f does not add up to its differences."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.core.test_cuts import rounded_straight_through

KEY = jax.random.key(0)
Q = {
    "bits": jd.Bernoulli(jnp.array([0.5, -1.0])),
    "row": jd.OneHotCategorical(jnp.zeros(3)),
}


def over_leaves(fn):
    return lambda z: sum(fn(x) for x in jax.tree.leaves(z))


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: jnp.sum((x - 0.45) ** 2),
        lambda x: 1e4 + jnp.sum((x - 0.45) ** 2),
        lambda x: jax.nn.relu(x - 0.5).sum(),
        lambda x: jnp.log(x).sum(),
        *(
            pytest.param(fn, marks=pytest.mark.thorough)
            for fn in (
                lambda x: jax.nn.sigmoid(50.0 * (x.sum() - 0.7)),
                lambda x: 0.0 * x.sum(),
                lambda x: jax.nn.logsumexp(3.0 * x),
                lambda x: jnp.where(x > 0, x, 0.0).sum(),
            )
        ),
    ],
)
def test_what_adds_up_passes(fn):
    jd.testing.assert_differentiable(over_leaves(fn), KEY, Q)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: jnp.where(x > 0.5, 0.3 + x, x).sum(),
        lambda x: 2.0 * x.sum() * jax.lax.stop_gradient(x.sum()),
        lambda x: jax.lax.stop_gradient(jnp.max(x)),
        lambda x: rounded_straight_through(x).sum(),
        lambda x: jnp.sqrt(x - 0.5).sum(),
    ],
)
def test_what_does_not_add_up_fails(fn):
    match = "misses .*% of a difference of f.*jaxdiscrete.reinforce_loo"
    with pytest.raises(AssertionError, match=match):
        jd.testing.assert_differentiable(over_leaves(fn), KEY, Q)


def test_arguments_reach_f():
    def f(z, weights):
        return over_leaves(jnp.sum)(z) * weights

    jd.testing.assert_differentiable(f, KEY, Q, 2.0)


def test_bad_input():
    f = over_leaves(jnp.sum)
    with pytest.raises(ValueError, match="Expected tolerance > 0"):
        jd.testing.assert_differentiable(f, KEY, Q, tolerance=0.0)
    with pytest.raises(TypeError, match="Expected every leaf of q of jaxdiscrete"):
        jd.testing.assert_differentiable(f, KEY, jnp.zeros(3))
    with pytest.raises(ValueError, match="f to return one real scalar"):
        jd.testing.assert_differentiable(lambda z: z["bits"], KEY, Q)
