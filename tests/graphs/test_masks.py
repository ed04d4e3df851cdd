"""Steps that are not active: nothing of them is read, and they cost next to nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import PARAMS, START, TRANSFORMS, chain
from tests.helpers.memory import temporary_bytes


@pytest.mark.parametrize("is_recorded", [False, True])
def test_nothing_outside_of_an_episode_is_read(is_recorded):
    """NaN on both sides of it, in inputs and in recorded decisions."""
    inside = jnp.array([False, True, True, False])
    policy, step = chain(PARAMS)
    estimate = jd.sequential(
        TRANSFORMS["baseline"],
        lambda h, x: policy(h, x["theta"]),
        lambda h, z, x: step(h, z, x["theta"]),
        active=lambda h, x: x["inside"],
    )
    actions = None
    if is_recorded:
        z = jnp.where(inside, 1.0, jnp.nan)
        actions = jd.Action(z, jnp.where(inside, -0.7, jnp.nan))

    def loss(theta, key):
        xs = {"theta": jnp.where(inside, theta, jnp.nan), "inside": inside}
        return estimate(key, START, xs, actions)

    def mean(theta):
        return jax.vmap(loss, (None, 0))(theta, keys).mean()

    keys = jax.random.split(jax.random.key(0), 8)
    value, gradient = jax.jit(jax.value_and_grad(mean))(PARAMS["theta"])
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient != 0.0, inside)


def test_a_mask_costs_no_copy_of_the_weights_per_entry_of_a_batch():
    def bytes_of(active):
        def loss(weights, key):
            estimate = jd.sequential(
                jd.reinforce,
                lambda h, x: (jd.Bernoulli(weights @ h), ()),
                lambda h, z, x: (jnp.tanh(weights @ h + z), z.sum()),
                active=active,
            )
            return estimate(key, jnp.zeros(64), jnp.arange(10.0))

        def mean(weights, keys):
            return jax.vmap(loss, (None, 0))(weights, keys).mean()

        keys = jax.random.split(jax.random.key(0), 100)
        return temporary_bytes(jax.grad(mean), jnp.eye(64), keys)

    assert bytes_of(lambda h, x: x < 6.0) < 1.5 * bytes_of(None)
