"""What a site of a sequence sends to its baseline or critic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import TRAINED, trained
from tests.helpers.parameters import daily


@pytest.mark.parametrize("name", daily(["nvil", "muprop"], TRAINED))
def test_the_training_signal_is_that_of_the_own_site(name, x64):
    """Finite differences of the second moment of every site's own gradient."""
    keys = jax.random.split(jax.random.key(3), 32)
    theta = jnp.array([0.3, -0.4, 0.2], jnp.float64)

    def policy(h, x):
        return jd.Bernoulli(x + h), (h,)

    def step(h, z, x):  # h does not depend on theta: that of x[s] is site s alone
        del x
        return jnp.tanh(h + 1.5 * z - 0.5), 3.0 * z * (1.0 + h) + h

    def loss(weight, theta, key):
        estimate = jd.sequential(trained(weight)[name], policy, step)
        return estimate(key, jnp.float64(0.2), theta)

    def step_with_state(h, z, x):
        new, cost = step(h, z, x)
        return new, (cost, h)

    watched = jd.sequential(jd.reinforce, policy, step_with_state, has_aux=True)

    @jax.jit
    @jax.vmap
    def watch(key):
        costs, states = watched(key, jnp.float64(0.2), theta)[1][1]
        return jd.cost_to_go(costs), states

    to_go, states = watch(keys)

    def objective(weight):
        if name == "nvil":  # which fits by one half of the squared error
            error = to_go - weight[0] - weight[1] * states
            return 0.5 * jnp.mean(jnp.sum(error**2, axis=1))
        gradient = jax.grad(loss, argnums=1)
        g = jax.vmap(lambda k: gradient(weight, theta, k))(keys)
        return jnp.mean(jnp.sum(g**2, axis=1))

    weight = jnp.array([0.7, 0.4], jnp.float64)
    mean_loss = lambda w: jnp.mean(jax.vmap(lambda k: loss(w, theta, k))(keys))  # noqa: E731
    received = jax.jit(jax.grad(mean_loss))(weight)
    objective = jax.jit(objective)
    eps = 1e-5
    expected = [
        (objective(weight.at[i].add(eps)) - objective(weight.at[i].add(-eps)))
        / (2.0 * eps)
        for i in range(2)
    ]
    np.testing.assert_allclose(received, np.array(expected), rtol=2e-4, atol=1e-7)
    assert np.all(np.abs(received) > 1e-3)
