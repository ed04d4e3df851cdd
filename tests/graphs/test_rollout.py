"""What a sequence refuses before any compute."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import PARAMS, START, chain
from tests.helpers.samplers import BareSampler

XS = PARAMS["theta"]


def refuse(error, match, *, xs=XS, actions=None, **changes):
    policy, step = chain(PARAMS)
    made = {"transform": jd.reinforce, "policy": policy, "step": step, **changes}
    estimate = jd.sequential(
        made.pop("transform"), made.pop("policy"), made.pop("step"), **made
    )
    with pytest.raises(error, match=match):
        estimate(jax.random.key(0), START, xs, actions)


@pytest.mark.parametrize(
    ("step", "match"),
    [
        (lambda h, z, x: ((h, h), z), "a carry of the structure, shapes and dtypes"),
        (lambda h, z, x: (jnp.array(1), z), "int32"),
        (lambda h, z, x: (jnp.ones(2), z), "Convert it, or start from a carry"),
        (lambda h, z, x: h, r"to return \(carry, cost\), got"),
    ],
)
def test_a_step_that_returns_something_else(step, match, no_compute):
    refuse(TypeError, match, step=step)


@pytest.mark.parametrize(
    ("cost", "error", "match"),
    [
        (jnp.ones(2), ValueError, r"Expected the cost of step to return one real"),
        (jnp.array(1), TypeError, "of a floating dtype, got int32"),
        (jnp.array(1j), TypeError, "of a floating dtype, got complex64"),
    ],
)
def test_a_cost_that_is_no_real_scalar(cost, error, match, no_compute):
    refuse(error, match, step=lambda h, z, x: (h, cost))


def test_a_step_without_aux(no_compute):
    refuse(
        TypeError,
        r"\(carry, \(cost, aux\)\) with has_aux=True",
        has_aux=True,
    )


@pytest.mark.parametrize(
    "xs", [{"a": jnp.zeros(3), "b": jnp.zeros(4)}, jnp.zeros(0), jnp.array(1.0), ()]
)
def test_inputs_without_one_length(xs, no_compute):
    refuse(ValueError, "one leading axis of time, of length one or more", xs=xs)


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        (lambda h, x: jd.Bernoulli(x), r"to return \(q, inputs\) with a tuple"),
        (lambda h, x: (jd.Bernoulli(x), h), r"Without inputs return \(q, \(\)\)"),
        (lambda h, x: (x, ()), "jaxdiscrete.sequential"),
    ],
)
def test_a_policy_that_returns_no_distribution(policy, match, no_compute):
    refuse(TypeError, match, policy=policy)


def test_a_policy_whose_distribution_is_no_pytree(no_compute):
    refuse(
        TypeError,
        "registered pytrees of arrays, which a scan can hand on, got BareSampler",
        policy=lambda h, x: (BareSampler(x), ()),
    )
    refuse(
        TypeError,
        r"got str\. Register its class",
        policy=lambda h, x: (jd.Bernoulli(x), ("left",)),
    )


@pytest.mark.parametrize("mask", [jnp.array(1.0), jnp.array([True, False])])
def test_a_mask_that_is_not_boolean(mask, no_compute):
    refuse(TypeError, "to return one boolean scalar", active=lambda h, x: mask)


def test_actions_of_other_shapes(no_compute):
    action = jd.Action(jnp.zeros(3), jnp.zeros(4))
    refuse(ValueError, "a given z of the shapes of a sample", actions=action)
    action = jd.Action(jnp.zeros(4), jnp.zeros(3))
    refuse(ValueError, r"one entry per rollout and step, \(1, 4\)", actions=action)
    refuse(
        TypeError,
        "to be a jaxdiscrete.Action, got tuple",
        actions=(jnp.zeros(4), jnp.zeros(4)),
    )


def test_a_discount_that_is_no_scalar(no_compute):
    """It would be one of every step."""
    with pytest.raises(ValueError, match=r"Expected discount to return one real"):
        jd.sequential(jd.reinforce, *chain(PARAMS), discount=jnp.ones(4))


@pytest.mark.parametrize(
    "credit",
    [
        jnp.sum,
        lambda costs: costs.sum()[None],
        lambda costs: jnp.ones(4, int),
        lambda costs: (costs, costs),
    ],
)
def test_credit_and_weights_that_are_not_one_per_step(credit, no_compute):
    """A scalar would be broadcast."""
    refuse(ValueError, "Expected credit to return one real number per", credit=credit)
    actions = jd.Action(jnp.zeros(4), jnp.zeros(4))
    refuse(
        ValueError,
        r"Expected weights to return one real number per step, of shape \(4,\)",
        weights=credit,
        actions=actions,
    )


@pytest.mark.parametrize("what", ["num_samples", "chunk_size"])
def test_counts(what, no_compute):
    with pytest.raises(ValueError, match=f"Expected {what} >= 1 in jaxdiscrete"):
        jd.sequential(jd.reinforce, *chain(PARAMS), **{what: 0})
