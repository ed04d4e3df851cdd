"""Steps that are not active: nothing of them is read, and they cost next to nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import (
    EPISODE_START,
    EVERY,
    PARAMS,
    START,
    TRAINED,
    TRANSFORMS,
    chain,
    expected_cost_of_episodes,
    gradients,
    loss_of_stopping,
    stopping,
    trained,
)
from tests.helpers.memory import temporary_bytes
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased
from tests.helpers.trees import all_finite, assert_close, flat


@pytest.fixture(scope="module")
def exact_episodes():
    """The exact expectation and its gradient; what is active must be known."""

    def expected(params):
        return expected_cost_of_episodes(
            *stopping(params), EPISODE_START, params["theta"]
        )

    value, gradient = jax.value_and_grad(expected)(PARAMS)
    return value, flat(gradient)


@pytest.mark.parametrize("name", EVERY)
def test_episodes_of_random_length(name, exact_episodes):
    """NaN past the end reaches nothing, under vmap and through closures."""
    values, samples = gradients(loss_of_stopping(TRANSFORMS[name]), PARAMS)
    value, gradient = exact_episodes
    assert_unbiased(values[:, None], [value])
    assert_unbiased(samples, gradient)


def test_masked_steps_reach_nothing_that_a_batch_shares():
    """The derivative of a batch is that of its entries, most of which end early."""
    keys = jax.random.split(jax.random.key(0), 64)
    loss = loss_of_stopping(TRANSFORMS["baseline"])
    of_each = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(PARAMS, keys)
    mean = lambda p: jax.vmap(loss, (None, 0))(p, keys).mean()  # noqa: E731
    of_mean = jax.jit(jax.grad(mean))(PARAMS)
    assert_close(of_mean, jax.tree.map(lambda x: x.mean(0), of_each), rtol=1e-4)


@pytest.mark.thorough
def test_masked_steps_reach_nothing_that_rollouts_share():
    options = {"num_samples": 8, "chunk_size": 4}
    loss = loss_of_stopping(TRANSFORMS["baseline"], **options)
    assert all_finite(jax.jit(jax.grad(loss))(PARAMS, jax.random.key(0)))


@pytest.mark.parametrize("name", daily(["nvil", "relax_rebar"], TRAINED))
@pytest.mark.thorough
def test_masked_steps_contribute_exactly_zero(name):
    """Gradient, baseline and critic are those of an episode that is over."""

    def policy(t, x):
        return jd.Bernoulli(x), (t,)

    def step(t, z, x):
        return t + 1.0, 3.0 * z + t

    def loss(weight, xs, key, length):
        estimate = jd.sequential(
            trained(weight)[name], policy, step, active=lambda t, x: t < length
        )
        return estimate(key, 0.0, xs)

    xs = jnp.array([0.2, -0.4, 0.6, 0.1, 0.3])
    weight, key = jnp.array([0.8, 0.3]), jax.random.key(4)
    gradient = jax.jit(jax.grad(loss, (0, 1)))
    of_weight, of_xs = gradient(weight, xs, key, 2.0)
    np.testing.assert_array_equal(of_xs[2:], 0.0)
    # A sequence of two steps draws the same.
    short_of_weight, short_of_xs = gradient(weight, xs[:2], key, 9.0)
    np.testing.assert_allclose(of_xs[:2], short_of_xs, rtol=1e-6)
    np.testing.assert_allclose(of_weight, short_of_weight, rtol=1e-6)
    assert np.all(of_xs[:2] != 0.0)
    assert np.all(np.abs(of_weight) > 1e-4)
    nothing = gradient(weight, xs, key, 0.0)
    for array in nothing:
        np.testing.assert_array_equal(array, 0.0)


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
                lambda h, x: (jd.Bernoulli(h @ weights), ()),
                lambda h, z, x: (jnp.tanh(jnp.tanh(h @ weights + z) @ weights), z[0]),
                active=active,
            )
            return estimate(key, jnp.zeros(256), jnp.arange(3.0))

        def mean(weights, keys):
            return jax.vmap(loss, (None, 0))(weights, keys).mean()

        keys = jax.random.split(jax.random.key(0), 32)
        return temporary_bytes(jax.grad(mean), jnp.eye(256), keys)

    assert bytes_of(lambda h, x: x < 2.0) < 1.3 * bytes_of(None)
