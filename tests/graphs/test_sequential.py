"""Sequences of decisions against enumeration, and what a site of them is told."""

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
    exact_gradient_of,
    expected_cost,
    gradients,
)
from tests.helpers.memory import temporary_bytes
from tests.helpers.statistics import assert_unbiased, total_variance
from tests.helpers.trees import all_finite, assert_close


def loss_of_chain(transform, **options):
    def loss(params, key):
        estimate = jd.sequential(transform, *chain(params), **options)
        return estimate(key, START, params["theta"])

    return loss


def exact_chain(params, **options):
    return expected_cost(*chain(params), START, params["theta"], BINARY, **options)


@pytest.mark.parametrize("name", EVERY)
def test_a_recurrent_chain(name):
    """Credit, state that depends on parameters, and costs that do."""
    _, samples = gradients(loss_of_chain(TRANSFORMS[name]), PARAMS)
    assert_unbiased(samples, exact_gradient_of(exact_chain, PARAMS))


def test_the_value_is_the_total_cost():
    values, _ = gradients(loss_of_chain(jd.reinforce), PARAMS)
    assert_unbiased(values[:, None], [exact_chain(PARAMS)])


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_discount(name):
    """It is part of the value, and the gradient is that value's."""
    loss = loss_of_chain(TRANSFORMS[name], discount=0.9)
    values, samples = gradients(loss, PARAMS)
    assert_unbiased(values[:, None], [exact_chain(PARAMS, discount=0.9)])
    expected = exact_gradient_of(lambda p: exact_chain(p, discount=0.9), PARAMS)
    assert_unbiased(samples, expected)


@pytest.mark.parametrize("name", ONE_OF_EACH)
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


@pytest.mark.parametrize("name", ["reinforce", "relax"])
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


def stopping(params):
    """An episode that a decision ends, with NaN past the end wherever one can be."""

    def active(carry, theta):
        del theta
        return carry[1] < 0.5

    def policy(carry, theta):
        h, ended = carry
        # Infinite and NaN past the end, in values and in every derivative.
        blown = params["w"] * h / (1.0 - ended) - params["w"] * ended / (1.0 - ended)
        return jd.Bernoulli(theta + blown), (h + jnp.log(1.0 - ended), blown)

    def step(carry, z, theta):
        h, ended = carry
        new = jnp.tanh(h + 1.5 * z - 0.5) + jnp.sqrt(-ended)
        cost = params["c"] * z * (6.0 + h) + 0.1 * params["c"] / (1.0 - ended) + h**2
        return (new, jnp.where((1.0 - z) * h > 0.0, 1.0, 0.0)), cost

    return active, policy, step


EPISODE_START = (jnp.array(0.2), jnp.array(0.0))


def loss_of_stopping(transform, **options):
    def loss(params, key):
        active, policy, step = stopping(params)
        estimate = jd.sequential(transform, policy, step, active=active, **options)
        return estimate(key, EPISODE_START, params["theta"])

    return loss


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


@pytest.mark.parametrize(
    "name", ["reinforce", "nvil", "relax", "relax_rebar", "muprop"]
)
def test_the_training_signal_is_that_of_the_own_site(name, x64):
    """Finite differences of the second moment of every site's own gradient."""
    keys = jax.random.split(jax.random.key(3), 32)
    theta = jnp.array([0.3, -0.4, 0.2], jnp.float64)

    def policy(h, x):
        return jd.Bernoulli(x + h), (h,)

    def step(h, z, x):  # h does not depend on theta: that of x[s] is site s alone
        del x
        return jnp.tanh(h + 1.5 * z - 0.5), 3.0 * z * (1.0 + h) + h

    def transform_of(weight):
        def critic(z, h):
            return weight[0] * z * h + weight[1] * z**2

        return {
            "reinforce": lambda f: jd.reinforce(
                f, baseline=lambda h: weight[0] + weight[1] * h
            ),
            "nvil": lambda f: jd.nvil(f, baseline=lambda h: weight[0] + weight[1] * h),
            "relax": lambda f: jd.relax(f, critic, temperature=0.5 + weight[1]),
            "relax_rebar": lambda f: jd.relax_rebar(
                f, critic, temperature=0.6, scale=weight[0], relaxed_f=lambda z, h: z
            ),
            "muprop": lambda f: jd.muprop(
                f, relaxed_f=lambda z, h: z * h, linear_scale=weight[1]
            ),
        }[name]

    def loss(weight, theta, key):
        estimate = jd.sequential(transform_of(weight), policy, step)
        return estimate(key, jnp.float64(0.2), theta)

    def step_with_state(h, z, x):
        new, cost = step(h, z, x)
        return new, (cost, h)

    watched = jd.sequential(jd.reinforce, policy, step_with_state, has_aux=True)
    costs, states = jax.vmap(lambda k: watched(k, jnp.float64(0.2), theta)[1][1])(keys)
    to_go = jax.vmap(jd.cost_to_go)(costs)

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
    assert np.any(np.abs(received) > 1e-3)


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


def test_second_derivatives_are_refused():
    """DiCE has them, but no site knows of the others."""
    loss = loss_of_chain(jd.dice)
    with pytest.raises(TypeError, match="Expected a first derivative"):
        jax.hessian(loss)(PARAMS, jax.random.key(0))


@pytest.mark.parametrize("name", ["baseline", "relax"])
def test_checkpointed_steps_give_the_same_gradients(name):
    def loss(params, key, wrap):
        policy, step = chain(params)
        estimate = jd.sequential(TRANSFORMS[name], wrap(policy), wrap(step))
        return estimate(key, START, params["theta"])

    plain, checkpointed = (
        jax.jit(jax.value_and_grad(lambda p, k, w=wrap: loss(p, k, w)))(
            PARAMS, jax.random.key(2)
        )
        for wrap in (lambda f: f, jax.checkpoint)
    )
    assert_close(plain, checkpointed)
    whole = jax.checkpoint(lambda p: loss(p, jax.random.key(2), lambda f: f))
    whole = jax.jit(jax.grad(whole))
    assert_close(whole(PARAMS), plain[1], rtol=1e-4)


@pytest.mark.parametrize("name", ["baseline", "relax"])
@pytest.mark.parametrize("is_masked", [False, True])
def test_shard_map_gives_the_same_gradients(name, is_masked):
    make = loss_of_stopping if is_masked else loss_of_chain
    loss = make(TRANSFORMS[name])
    keys = jax.random.key_data(jax.random.split(jax.random.key(1), 8))

    def local(params, keys):
        one = lambda k: loss(params, jax.random.wrap_key_data(k))  # noqa: E731
        return jnp.sum(jax.vmap(one)(keys))

    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("data",))
    spec = jax.sharding.PartitionSpec
    sharded = jax.shard_map(
        lambda p, k: jax.lax.psum(local(p, k), "data"),
        mesh=mesh,
        in_specs=(spec(), spec("data")),
        out_specs=spec(),
    )
    expected = jax.jit(jax.value_and_grad(local))(PARAMS, keys)
    assert_close(jax.jit(jax.value_and_grad(sharded))(PARAMS, keys), expected, 1e-4)


def test_traces_do_not_depend_on_the_number_of_steps():
    def traces(num_steps):
        calls = {"policy": 0, "step": 0}
        policy, step = chain(PARAMS)

        def counted_policy(h, x):
            calls["policy"] += 1
            return policy(h, x)

        def counted_step(h, z, x):
            calls["step"] += 1
            return step(h, z, x)

        estimate = jd.sequential(TRANSFORMS["relax"], counted_policy, counted_step)
        jax.make_jaxpr(jax.grad(estimate, argnums=2))(
            jax.random.key(0), START, jnp.zeros(num_steps)
        )
        return calls

    assert traces(3) == traces(300) == {"policy": 2, "step": 2}


def test_memory_is_linear_in_the_number_of_steps():
    def bytes_of(num_steps):
        policy, step = chain(PARAMS)
        estimate = jd.sequential(TRANSFORMS["relax"], policy, step)
        batched = jax.vmap(jax.grad(estimate, argnums=2), (0, None, None))
        keys = jax.random.split(jax.random.key(0), 100)
        return temporary_bytes(batched, keys, START, jnp.zeros(num_steps))

    one, ten = bytes_of(50), bytes_of(500)
    assert 5.0 * one < ten < 10.5 * one
