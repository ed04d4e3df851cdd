"""Estimators inside the loops of JAX, and sequences inside what others estimate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import (
    BINARY,
    START,
    TRANSFORMS,
    chain,
    exact_gradient_of,
    expected_cost,
    gradients,
)
from tests.helpers.statistics import assert_unbiased

THETA = jnp.array([0.4, -0.4, 0.2, 0.5])
PARAMS = {"outer": jnp.array(0.4), "theta": THETA[:3], "c": jnp.array(1.5)}


def policy(previous, x):
    return jd.Bernoulli(x + 1.5 * previous), ()


def step(previous, z, x):
    return z, 4.0 * z * (1.0 + previous)


def scanned(theta, key, feeds_back):
    """A scan of estimates, whose samples return as carry or do not."""

    def body(previous, row):
        x, key = row

        def cost_of(z):
            new, cost = step(previous, z, x)
            return cost, new

        estimate = jd.reinforce(cost_of, has_aux=True)
        value, z = estimate(key, policy(previous, x)[0])
        return z if feeds_back else previous, value

    keys = jax.random.split(key, len(theta))
    return jax.lax.scan(body, 0.0, (theta, keys))[1].sum()


def test_a_scan_of_independent_estimates_is_right():
    exact = exact_gradient_of(lambda x: jnp.sum(4.0 * jax.nn.sigmoid(x)), THETA)
    _, samples = gradients(lambda x, k: scanned(x, k, False), THETA)
    assert_unbiased(samples, exact)


def test_a_scan_of_estimates_that_feed_back_is_wrong():
    """But for the last step, and by how much: the page of sequences says so."""
    exact = exact_gradient_of(
        lambda x: expected_cost(policy, step, jnp.array(0.0), x, BINARY), THETA
    )
    _, samples = gradients(lambda x, k: scanned(x, k, True), THETA)
    error = samples.mean(axis=0) - exact
    se = samples.std(axis=0) / len(samples) ** 0.5
    assert np.all(error[:3] < -50.0 * se[:3])
    assert abs(error[3]) < 4.5 * se[3]


def in_a_scan(z, params, key):
    """Estimates of later layers, one per step, whose distributions depend on z."""

    def body(total, row):
        x, key = row
        q = jd.Bernoulli(x + 2.0 * z)
        transform = TRANSFORMS["baseline"]
        value = transform(lambda y, *args: params["c"] * y * (3.0 + z))(key, q, z, x)
        return total + value, None

    keys = jax.random.split(key, 3)
    return jax.lax.scan(body, 0.0, (params["theta"], keys))[0]


def expected_in_a_scan(z, params):
    p = jax.nn.sigmoid(params["theta"] + 2.0 * z)
    return jnp.sum(params["c"] * p * (3.0 + z))


def in_a_while_loop(z, params, key):
    """As many estimates as z says, constant in the parameters of the others."""

    def body(state):
        i, total = state
        q = jd.Bernoulli(jnp.array([0.3, -0.2, 0.5])[i])
        value = jd.nvil(lambda y: 3.0 * y, baseline=1.0)(jax.random.fold_in(key, i), q)
        return i + 1, total + value

    length = jnp.where(z > 0, 3, 1)
    return jax.lax.while_loop(lambda state: state[0] < length, body, (0, 0.0))[1]


def expected_in_a_while_loop(z, params):
    p = jax.nn.sigmoid(jnp.array([0.3, -0.2, 0.5]))
    return 3.0 * jnp.where(z > 0, p.sum(), p[0])


LOOPS = {
    "scan": (in_a_scan, expected_in_a_scan),
    "while": (in_a_while_loop, expected_in_a_while_loop),
}


@pytest.mark.parametrize("what", LOOPS)
def test_estimators_in_a_loop_of_f(what):
    inside, expected = LOOPS[what]

    def loss(params, key):
        key_outer, key_inner = jax.random.split(key)
        f = lambda z: inside(z, params, key_inner) - 2.0  # noqa: E731
        outer = jd.reinforce(f, baseline=3.0)
        return outer(key_outer, jd.Bernoulli(params["outer"]))

    def exact(params):
        p = jax.nn.sigmoid(params["outer"])
        return p * expected(1.0, params) + (1.0 - p) * expected(0.0, params)

    _, samples = gradients(loss, PARAMS)
    assert_unbiased(samples, exact_gradient_of(exact, PARAMS))


def test_sequences_inside_of_one_another():
    """An estimate is what a step costs, and a sequence what a decision costs."""
    params = {
        "outer": jnp.array(0.4),
        "theta": jnp.array([0.3, -0.4]),
        "w": jnp.array(1.2),
        "c": jnp.array(1.5),
    }

    def inner_cost(y, h):
        return 2.0 * y * (1.0 + h)

    def steps(params, cost_of):
        policy, step = chain(params)

        def with_estimate(h, z, x):
            new, cost = step(h, z, x["theta"])
            return new, cost + cost_of(jd.Bernoulli(params["w"] * h), h, x["key"])

        return (lambda h, x: policy(h, x["theta"])), with_estimate

    def by_estimate(q, h, key):
        return jd.nvil(inner_cost, baseline=lambda h: 1.0 + h)(key, q, h)

    def by_sum(q, h, key):
        return jax.nn.sigmoid(q.logits) * inner_cost(1.0, h)

    def xs(params, key):
        return {"theta": params["theta"], "key": jax.random.split(key, 2)}

    def loss(params, key):
        keys = jax.random.split(key, 3)

        def f(z):
            policy, step = steps(params, by_estimate)
            estimate = jd.sequential(TRANSFORMS["relax"], policy, step)
            return estimate(keys[1], START * z, xs(params, keys[2]))

        def model(sample, cost):
            z = sample(jd.reinforce, jd.Bernoulli(params["outer"]))
            cost(f(z))

        return jd.program(model)(keys[0])

    def exact(params):
        def of(z):
            inputs = xs(params, jax.random.key(0))
            return expected_cost(*steps(params, by_sum), START * z, inputs, BINARY)

        p = jax.nn.sigmoid(params["outer"])
        return p * of(1.0) + (1.0 - p) * of(0.0)

    _, samples = gradients(loss, params, num=200_000)
    assert_unbiased(samples, exact_gradient_of(exact, params))
