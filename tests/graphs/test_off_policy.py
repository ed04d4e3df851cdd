"""Decisions of another policy, with either kind of weights."""

import jax
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import (
    NUM_STEPS,
    ONE_OF_EACH,
    PARAMS,
    START,
    TRANSFORMS,
    chain,
    exact_chain,
    exact_gradient_of,
    gradients,
)
from tests.helpers.statistics import assert_unbiased


def recorded(loss, num, num_samples=1):
    """Decisions of a policy that prefers otherwise, and their log-probabilities."""

    def behaviour(h, theta):
        return jd.Bernoulli(0.5 * theta - 0.3 * h + 0.2)

    _, step = chain(PARAMS)

    def one(key):
        def body(h, row):
            theta, key = row
            action = jd.act(key, behaviour(h, theta))
            return step(h, action.z, theta)[0], action

        keys = jax.random.split(key, NUM_STEPS)
        return jax.lax.scan(body, START, (PARAMS["theta"], keys))[1]

    def sample(params, key):
        key_act, key = jax.random.split(key)
        if num_samples == 1:
            return loss(params, key, one(key_act))
        keys = jax.random.split(key_act, num_samples)
        return loss(params, key, jax.vmap(one)(keys))

    return gradients(sample, PARAMS, num=num)


@pytest.mark.parametrize(
    "weights", [jd.per_decision_weights, jd.whole_sequence_weights]
)
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_recorded_decisions(name, weights):
    """Of another policy, with either kind of weights."""

    def loss(params, key, actions):
        policy, step = chain(params)
        estimate = jd.sequential(TRANSFORMS[name], policy, step, weights=weights)
        return estimate(key, START, params["theta"], actions)

    values, samples = recorded(loss, 400_000)
    assert_unbiased(values[:, None], [exact_chain(PARAMS)])
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))


@pytest.mark.thorough
def test_recorded_rollouts():
    def loss(params, key, actions):
        policy, step = chain(params)
        estimate = jd.sequential(jd.reinforce, policy, step, num_samples=3)
        return estimate(key, START, params["theta"], actions)

    _, samples = recorded(loss, 200_000, num_samples=3)
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))


def test_recorded_decisions_of_the_same_policy_have_weight_one():
    policy, step = chain(PARAMS)

    def body(h, row):
        theta, key = row
        action = jd.act(key, policy(h, theta)[0])
        h, cost = step(h, action.z, theta)
        return h, (action, cost)

    keys = jax.random.split(jax.random.key(0), NUM_STEPS)
    _, (actions, costs) = jax.lax.scan(body, START, (PARAMS["theta"], keys))
    estimate = jd.sequential(jd.reinforce, policy, step)
    value = estimate(jax.random.key(1), START, PARAMS["theta"], actions)
    np.testing.assert_allclose(value, costs.sum(), rtol=1e-6)
