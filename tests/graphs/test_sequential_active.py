"""Steps that are not active: nothing of them is read, and they cost next to nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import (
    BINARY,
    EPISODE_START,
    EVERY,
    PARAMS,
    START,
    TRANSFORMS,
    chain,
    exact_gradient_of,
    expected_cost,
    gradients,
    loss_of_stopping,
    stopping,
)
from tests.helpers.memory import temporary_bytes
from tests.helpers.statistics import assert_unbiased
from tests.helpers.trees import all_finite, assert_close


@pytest.mark.parametrize("name", EVERY)
def test_episodes_of_random_length(name):
    """NaN past the end reaches nothing, under vmap and through closures."""

    def exact(params):
        active, policy, step = stopping(params)
        start = EPISODE_START
        theta = params["theta"]
        return expected_cost(policy, step, start, theta, BINARY, active=active)

    values, samples = gradients(loss_of_stopping(TRANSFORMS[name]), PARAMS)
    assert_unbiased(values[:, None], [exact(PARAMS)])
    assert_unbiased(samples, exact_gradient_of(exact, PARAMS))


def test_masked_steps_reach_nothing_that_a_batch_shares():
    """The derivative of a batch is that of its entries, most of which end early."""
    keys = jax.random.split(jax.random.key(0), 64)
    loss = loss_of_stopping(TRANSFORMS["baseline"])
    of_each = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(PARAMS, keys)
    mean = lambda p: jax.vmap(loss, (None, 0))(p, keys).mean()  # noqa: E731
    of_mean = jax.jit(jax.grad(mean))(PARAMS)
    assert_close(of_mean, jax.tree.map(lambda x: x.mean(0), of_each), rtol=1e-4)


def test_masked_steps_reach_nothing_that_rollouts_share():
    options = {"num_samples": 8, "chunk_size": 4}
    loss = loss_of_stopping(TRANSFORMS["baseline"], **options)
    assert all_finite(jax.jit(jax.grad(loss))(PARAMS, jax.random.key(0)))


@pytest.mark.parametrize("name", ["reinforce", "nvil", "relax", "relax_rebar"])
def test_masked_steps_contribute_exactly_zero(name):
    """Gradient, baseline and critic are those of the steps before the end alone."""

    def policy(t, x):
        return jd.Bernoulli(x), (t, x)

    def step(t, z, x):
        return t + 1.0, 3.0 * z + t

    def transform_of(weight):
        def critic(z, t, x):
            return weight * z * (1.0 + t)

        return {
            "reinforce": lambda f: jd.reinforce(f, baseline=lambda t, x: weight + t),
            "nvil": lambda f: jd.nvil(f, baseline=lambda t, x: weight + t),
            "relax": lambda f: jd.relax(f, critic, temperature=weight),
            "relax_rebar": lambda f: jd.relax_rebar(
                f, critic, temperature=weight, scale=weight, relaxed_f=critic
            ),
        }[name]

    def loss(weight, xs, key, length):
        active = None if length == 5 else lambda t, x: t < length
        transform = transform_of(weight)
        return jd.sequential(transform, policy, step, active=active)(key, 0.0, xs)

    xs = jnp.array([0.2, -0.4, 0.6, 0.1, 0.3])
    weight, key = jnp.array(0.8), jax.random.key(4)
    gradient = jax.jit(jax.grad(loss, (0, 1)), static_argnums=3)
    of_weight, of_xs = gradient(weight, xs, key, 2)
    np.testing.assert_array_equal(of_xs[2:], 0.0)
    assert np.all(of_xs[:2] != 0.0)
    # The same keys and costs for the first two steps: what comes later costs nothing.
    nothing, _ = gradient(weight, xs, key, 0)
    np.testing.assert_array_equal(nothing, 0.0)
    assert of_weight != 0.0


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
