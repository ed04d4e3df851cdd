"""Decisions of another policy, with either kind of weights."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import (
    MAIN,
    NUM_STEPS,
    PARAMS,
    START,
    TRANSFORMS,
    chain,
    exact_chain,
    exact_gradient_of,
    gradients,
)
from tests.graphs.test_program import PARAMS as HIERARCHY
from tests.graphs.test_program import SITES, costs, hierarchy
from tests.graphs.test_program import exact as exact_hierarchy
from tests.helpers.parameters import daily
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


PER_DECISION, WHOLE_SEQUENCE = jd.per_decision_weights, jd.whole_sequence_weights


@pytest.mark.parametrize(
    ("name", "weights"),
    daily(
        [("baseline", PER_DECISION)],
        list(itertools.product(MAIN, [PER_DECISION, WHOLE_SEQUENCE])),
    ),
)
def test_recorded_decisions(name, weights):
    """Of another policy, with either kind of weights."""

    def loss(params, key, actions):
        policy, step = chain(params)
        estimate = jd.sequential(TRANSFORMS[name], policy, step, weights=weights)
        return estimate(key, START, params["theta"], actions)

    values, samples = recorded(loss, 400_000)
    assert_unbiased(values[:, None], [exact_chain(PARAMS)])
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))


def loss_with_credit(credit, weights):
    def loss(params, key, actions):
        policy, step = chain(params)
        estimate = jd.sequential(
            jd.reinforce, policy, step, credit=credit, weights=weights
        )
        return estimate(key, START, params["theta"], actions)

    return loss


@pytest.mark.parametrize(
    "credit", [jd.whole_sequence, lambda costs: costs - costs.mean()]
)
def test_earlier_costs_of_other_weights_are_refused(credit):
    """Under the policy that acted they are not independent of the decision."""
    message = "hold nothing that was charged before a step.*cost_to_go, or weights="
    with pytest.raises(ValueError, match=message):
        recorded(loss_with_credit(credit, PER_DECISION), 4)


@pytest.mark.parametrize("weights", [PER_DECISION, WHOLE_SEQUENCE])
def test_a_constant_that_is_not_weighted_is_refused(weights):
    message = "zero where all costs are, got -3 for the first step.*Use a baseline"
    with pytest.raises(ValueError, match=message):
        recorded(loss_with_credit(lambda costs: jd.cost_to_go(costs) - 3.0, weights), 4)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("credit", "weights"),
    [
        (jd.whole_sequence, WHOLE_SEQUENCE),
        (lambda costs: costs.sum() - jnp.cumsum(costs) + costs, PER_DECISION),
    ],
)
def test_recorded_decisions_with_another_credit(credit, weights):
    _, samples = recorded(loss_with_credit(credit, weights), 1_000_000)
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))


@pytest.mark.thorough
def test_recorded_rollouts():
    def loss(params, key, actions):
        policy, step = chain(params)
        estimate = jd.sequential(jd.reinforce, policy, step, num_samples=3)
        return estimate(key, START, params["theta"], actions)

    _, samples = recorded(loss, 200_000, num_samples=3)
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))


@pytest.mark.thorough
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


BEHAVIOUR = jax.tree.map(lambda x: 0.6 * x + 0.1, HIERARCHY)


def acting(model, key, *args):
    """What an actor records, who runs the same model and learns nothing."""
    actions = []

    def sample(transform, q, *inputs):
        actions.append(jd.act(jax.random.fold_in(key, len(actions)), q))
        return actions[-1].z

    model(sample, lambda value: None, *args)
    return actions


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "weights"),
    daily(
        [("mixed", PER_DECISION)],
        list(itertools.product(["mixed", "relax"], [PER_DECISION, WHOLE_SEQUENCE])),
    ),
)
def test_recorded_decisions_of_a_program(name, weights):
    """Of different kinds and shapes, with costs before and after each."""

    def model(sample, cost, params):
        cost(params["w"] * 2.0)
        hierarchy(SITES[name])(sample, cost, params)
        cost(params["c"] ** 2)

    def loss(params, key):
        key_act, key = jax.random.split(key)
        actions = acting(model, key_act, BEHAVIOUR)
        return jd.program(model, weights=weights)(key, params, actions=actions)

    def expected(params):
        return exact_hierarchy(params) + params["w"] * 2.0 + params["c"] ** 2

    values, samples = gradients(loss, HIERARCHY, num=400_000)
    assert_unbiased(values[:, None], [expected(HIERARCHY)])
    assert_unbiased(samples, exact_gradient_of(expected, HIERARCHY))


def test_a_program_replays_its_own_decisions():
    model = hierarchy(SITES["baseline"])

    @jax.jit
    def recorded_and_replayed():
        actions = acting(model, jax.random.key(2), HIERARCHY)
        value = jd.program(model)(jax.random.key(0), HIERARCHY, actions=actions)
        return value, [a.z for a in actions]

    value, (z, y, x) = recorded_and_replayed()
    np.testing.assert_allclose(value, sum(costs(HIERARCHY, z, y, x)), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda a: a[:2], ValueError, "got 2 for a model that samples more often"),
        (lambda a: [*a, a[0]], ValueError, "got 4 for a model that samples 3 times"),
        (lambda a: a[0], TypeError, "to be a list of one jaxdiscrete.Action per"),
        (
            lambda a: [a[0].z, *a[1:]],
            TypeError,
            r"an action of jaxdiscrete\.program to",
        ),
        (lambda a: [a[1], a[0], a[2]], ValueError, "of the shapes of a sample of q"),
        (
            lambda a: [a[0]._replace(log_prob=jnp.zeros(2)), *a[1:]],
            ValueError,
            "of an action of jaxdiscrete.program to be one scalar",
        ),
        (
            lambda a: [a[0]._replace(z=jnp.array([0.5, 0.0])), *a[1:]],
            ValueError,
            "a hard sample of q",
        ),
    ],
)
def test_actions_that_do_not_fit_are_refused(change, error, match):
    model = hierarchy(SITES["reinforce"])
    actions = change(acting(model, jax.random.key(2), HIERARCHY))
    with pytest.raises(error, match=match):
        jd.program(model)(jax.random.key(0), HIERARCHY, actions=actions)


def test_weights_of_a_program_are_one_per_site():
    model = hierarchy(SITES["reinforce"])
    actions = acting(model, jax.random.key(2), HIERARCHY)
    with pytest.raises(
        ValueError, match=r"Expected weights to return one real .*\(3,\)"
    ):
        jd.program(model, weights=jnp.prod)(
            jax.random.key(0), HIERARCHY, actions=actions
        )
