"""Sequences of decisions against enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import (
    BINARY,
    EVERY,
    NUM_STEPS,
    ONE_OF_EACH,
    PARAMS,
    START,
    TRANSFORMS,
    chain,
    exact_chain,
    exact_gradient_of,
    expected_cost,
    gradients,
    loss_of_chain,
)
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased, total_variance
from tests.helpers.trees import assert_close


@pytest.mark.parametrize("name", EVERY)
def test_a_recurrent_chain(name):
    """Credit, state that depends on parameters, and costs that do."""
    _, samples = gradients(loss_of_chain(TRANSFORMS[name]), PARAMS)
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))


def test_the_value_is_the_total_cost():
    values, _ = gradients(loss_of_chain(jd.reinforce), PARAMS)
    assert_unbiased(values[:, None], [exact_chain(PARAMS)])


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.thorough
def test_a_discount(name):
    """It is part of the value, and the gradient is that value's."""
    loss = loss_of_chain(TRANSFORMS[name], discount=0.9)
    values, samples = gradients(loss, PARAMS)
    assert_unbiased(values[:, None], [exact_chain(PARAMS, discount=0.9)])
    expected = exact_gradient_of(lambda p: exact_chain(p, discount=0.9), PARAMS)
    assert_unbiased(samples, expected)


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.thorough
def test_several_rollouts(name):
    loss = loss_of_chain(TRANSFORMS[name], num_samples=3)
    _, samples = gradients(loss, PARAMS)
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))


def test_rollouts_are_centred_by_the_others():
    """Three rollouts vary less than the mean of three."""
    of_three = loss_of_chain(jd.reinforce, num_samples=3)
    _, joint = gradients(of_three, PARAMS, num=20_000)
    _, single = gradients(loss_of_chain(jd.reinforce), PARAMS, num=20_000)
    assert total_variance(joint)[0] < 0.8 * total_variance(single)[0] / 3.0


@pytest.mark.thorough
def test_chunks_give_the_same_gradients():
    at_once, in_chunks = (
        jax.jit(
            jax.value_and_grad(
                loss_of_chain(TRANSFORMS["relax"], num_samples=4, chunk_size=size)
            )
        )(PARAMS, jax.random.key(0))
        for size in (None, 3)
    )
    assert_close(at_once, in_chunks, rtol=1e-4)


@pytest.mark.thorough
def test_whole_sequence_credit_is_unbiased_with_more_variance():
    centred = loss_of_chain(
        lambda f: jd.reinforce(f, baseline=17.0), credit=jd.whole_sequence
    )
    _, samples = gradients(centred, PARAMS, num=200_000)
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))
    whole = loss_of_chain(jd.reinforce, credit=jd.whole_sequence)
    _, samples = gradients(whole, PARAMS, num=20_000)
    _, to_go = gradients(loss_of_chain(jd.reinforce), PARAMS, num=20_000)
    # Of the decisions' own parameters: that of the costs' has no credit in it.
    of_theta = slice(1, 1 + NUM_STEPS)
    variance = total_variance(to_go[:, of_theta])[0]
    assert variance < 0.5 * total_variance(samples[:, of_theta])[0]


def test_a_terminal_cost_is_credited_to_every_step():
    """It is a cost of the last step, which x tells from the others."""

    def policy(count, x):
        return jd.Bernoulli(x["theta"]), ()

    def step(count, z, x):
        count = count + z
        return count, jnp.where(x["is_last"], (count - 3.5) ** 2, 0.0)

    xs = {"theta": PARAMS["theta"], "is_last": jnp.arange(NUM_STEPS) == NUM_STEPS - 1}

    def exact(theta):
        inputs = {**xs, "theta": theta}
        return expected_cost(policy, step, jnp.array(0.0), inputs, BINARY)

    def loss(theta, key):
        estimate = jd.sequential(jd.reinforce, policy, step)
        return estimate(key, 0.0, {**xs, "theta": theta})

    _, samples = gradients(loss, PARAMS["theta"])
    assert_unbiased(samples, exact_gradient_of(exact, PARAMS["theta"]))


def categorical_chain(params):
    """Two decisions per step, one of three classes and one of two."""

    def policy(h, logits):
        first = jd.OneHotCategorical(logits + h * jnp.array([1.0, 0.0, -1.0]))
        return {"a": first, "b": jd.Bernoulli(params["b"] + h)}, (h,)

    def step(h, z, logits):
        value = jnp.dot(z["a"], jnp.array([4.0, -1.0, -3.0])) + 3.0 * z["b"] * z["a"][0]
        new = jnp.tanh(params["w"] * value - 1.0)
        return new, value * (1.0 + 0.3 * h) + params["b"] * z["b"]

    return policy, step


@pytest.mark.parametrize("name", daily(["relax"], ["reinforce", "relax"]))
def test_categorical_and_mixed_decisions(name):
    params = {
        "logits": jnp.array([[0.4, -0.2, 0.0], [0.1, 0.3, -0.5]]),
        "b": jnp.array(-0.3),
        "w": jnp.array(0.2),
    }
    states = [
        {"a": jax.nn.one_hot(i, 3), "b": jnp.array(b)}
        for i in range(3)
        for b in (0.0, 1.0)
    ]

    def critic(z, h):
        value = jnp.dot(z["a"], jnp.array([4.0, -1.0, -3.0])) + z["b"]
        return value * (1.0 + 0.1 * h)

    transform = {
        "reinforce": jd.reinforce,
        "relax": lambda f: jd.relax(f, critic, temperature=0.7),
    }[name]
    start = jnp.array(0.2)

    def loss(params, key):
        estimate = jd.sequential(transform, *categorical_chain(params))
        return estimate(key, start, params["logits"])

    def exact(params):
        policy_and_step = categorical_chain(params)
        return expected_cost(*policy_and_step, start, params["logits"], states)

    _, samples = gradients(loss, params, num=200_000)
    assert_unbiased(samples, exact_gradient_of(exact, params))


def test_aux_is_stacked_over_time_and_then_rollouts():
    policy, step = chain(PARAMS)

    def step_with_aux(h, z, theta):
        h, cost = step(h, z, theta)
        return h, (cost, {"z": z})

    for num_samples, leading in ((1, ()), (3, (3,))):
        estimate = jd.sequential(
            jd.reinforce, policy, step_with_aux, num_samples=num_samples, has_aux=True
        )
        value, (last, (costs, aux)) = jax.jit(estimate)(
            jax.random.key(0), START, PARAMS["theta"]
        )
        assert last.shape == leading
        assert costs.shape == aux["z"].shape == (*leading, NUM_STEPS)
        np.testing.assert_allclose(value, costs.sum() / num_samples, rtol=1e-6)


def test_a_key_must_be_one():
    with pytest.raises(
        TypeError, match=r"jaxdiscrete\.sequential .* a PRNG key, got int"
    ):
        jd.sequential(jd.reinforce, *chain(PARAMS))(0, START, PARAMS["theta"])
