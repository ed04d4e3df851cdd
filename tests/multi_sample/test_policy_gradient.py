"""The score function of drawn samples, against all sequences of a small policy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import assert_unbiased, map_in_chunks
from tests.helpers.trees import assert_close

# A policy over tokens 0 (the end), 1, 2: three steps, each given the token before.
START, END, TIME = 3, 0, 3
THETA = jnp.array(
    [[-0.5, 0.4, 0.1], [0.3, -0.4, 0.6], [-0.7, 0.5, 0.2], [-1.0, 0.3, 0.5]]
)
OTHER = THETA + 0.5 * jnp.sin(jnp.arange(12.0).reshape(4, 3))
STEP_REWARD = jnp.array([[0.0, 3.0, 0.0], [0.0, -4.0, 3.0], [0.0, 2.0, 6.0]])
KEY = jax.random.key(5)
PAD = jnp.nan


def policy_log_probs(theta, tokens):
    """``[time]``, garbage after the end."""
    before = jnp.concatenate([jnp.array([START]), tokens[:-1]])
    return jax.nn.log_softmax(theta)[before, tokens]


def counts_of(tokens):
    """Which steps count: those up to the end, the end included."""
    is_end = (tokens == END).astype(jnp.int32)
    return jnp.cumsum(is_end) - is_end == 0


def step_rewards(tokens):
    return STEP_REWARD[jnp.arange(TIME), tokens]


def interaction(tokens):
    """A reward of the whole sequence that is no sum over its steps."""
    a, b, c = jnp.where(counts_of(tokens), tokens, 0)
    total = 2 * (a + b + c) - 2 * b * c + 2
    total -= jnp.where(a == 1, 1, 0) + jnp.where((a == 2) & (b == 1), 4, 0)
    return total.astype(jnp.float32)


def total_reward(tokens):
    return jnp.sum(jnp.where(counts_of(tokens), step_rewards(tokens), 0.0))


def sample(key, theta):
    def step(before, k):
        token = jax.random.categorical(k, theta[before])
        return token, token

    _, tokens = jax.lax.scan(step, START, jax.random.split(key, TIME))
    return tokens


def sample_group(key, theta, group):
    return jax.vmap(sample, (0, None))(jax.random.split(key, group), theta)


SEQUENCES = jnp.array(
    [
        s
        for s in itertools.product(range(3), repeat=TIME)
        if all(b == END for a, b in itertools.pairwise(s) if a == END)
    ]
)


def expectation(theta, reward):
    def one(tokens):
        log_probs = policy_log_probs(theta, tokens)
        log_prob = jnp.sum(jnp.where(counts_of(tokens), log_probs, 0.0))
        return jnp.exp(log_prob) * reward(tokens)

    return jnp.sum(jax.vmap(one)(SEQUENCES))


def steps_of(theta, tokens):
    """Log-probabilities, step rewards and mask, NaN where padded."""
    counts = jax.vmap(counts_of)(tokens)
    log_prob = jax.vmap(policy_log_probs, (None, 0))(theta, tokens)
    rewards = jax.vmap(step_rewards)(tokens)
    return (
        jnp.where(counts, log_prob, PAD),
        jnp.where(counts, rewards, PAD),
        counts,
    )


def whole_sequence(theta, tokens, baseline=jd.leave_one_out):
    log_prob, _, counts = steps_of(theta, tokens)
    log_prob = jnp.sum(jnp.where(counts, log_prob, 0.0), axis=1)
    reward = jax.vmap(interaction)(tokens)
    return jd.score_function_loss(log_prob, reward, baseline=baseline(reward))


def whole_reward_a_step(theta, tokens):
    log_prob, _, counts = steps_of(theta, tokens)
    reward = jax.vmap(interaction)(tokens)
    return jd.score_function_loss(
        log_prob, reward, baseline=jd.leave_one_out(reward), mask=counts
    )


def reward_from_here(theta, tokens):
    log_prob, rewards, counts = steps_of(theta, tokens)
    credit = jd.reward_to_go(rewards, mask=counts)
    return jd.score_function_loss(
        log_prob, credit, baseline=jd.leave_one_out(credit), mask=counts
    )


def total_reward_a_step(theta, tokens):
    log_prob, rewards, counts = steps_of(theta, tokens)
    reward = jnp.sum(jnp.where(counts, rewards, 0.0), axis=1)
    return jd.score_function_loss(
        log_prob, reward, baseline=jd.leave_one_out(reward), mask=counts
    )


def off_policy(theta, tokens):
    log_prob, _, counts = steps_of(theta, tokens)
    theirs, _, _ = steps_of(OTHER, tokens)
    difference = jnp.where(counts, log_prob - theirs, 0.0)
    reward = jax.vmap(interaction)(tokens)
    return jd.score_function_loss(
        log_prob,
        reward,
        baseline=jd.leave_one_out(reward),
        importance_weight=jnp.exp(jnp.sum(difference, axis=1)),
        mask=counts,
    )


def losses_and_gradients(loss, theta=THETA, group=4, num=150_000):
    """``[num], [num, coordinates]`` for groups drawn from ``theta``."""

    def one(key):
        tokens = sample_group(key, theta, group)
        return jax.value_and_grad(loss)(THETA, tokens)

    values, grads = map_in_chunks(one, jax.random.split(KEY, num))
    return np.asarray(values), np.asarray(grads).reshape(num, -1)


@pytest.mark.parametrize(
    ("loss", "reward", "drawn_from"),
    [
        (whole_sequence, interaction, THETA),
        (whole_reward_a_step, interaction, THETA),
        (reward_from_here, total_reward, THETA),
        (off_policy, interaction, OTHER),
    ],
    ids=["whole_sequence", "whole_reward_a_step", "reward_to_go", "off_policy"],
)
def test_value_and_gradient_are_unbiased(loss, reward, drawn_from):
    exact, gradient = jax.value_and_grad(expectation)(THETA, reward)
    values, grads = losses_and_gradients(loss, drawn_from)
    assert_unbiased(grads, -gradient.reshape(-1))
    assert_unbiased(values[:, None], -exact[None])


def test_the_mean_of_the_whole_group_shrinks_the_gradient():
    """By (G - 1) / G, which leave-one-out does not."""
    gradient = jax.grad(expectation)(THETA, interaction)

    def loss(theta, tokens):
        return whole_sequence(theta, tokens, lambda r: jnp.full_like(r, r.mean()))

    _, grads = losses_and_gradients(loss, group=3, num=200_000)
    assert_unbiased(grads, -2.0 / 3.0 * gradient.reshape(-1))


def test_reward_to_go_has_less_variance_and_the_same_mean():
    _, whole = losses_and_gradients(total_reward_a_step, num=20_000)
    _, to_go = losses_and_gradients(reward_from_here, num=20_000)
    assert to_go.var(axis=0).sum() < 0.9 * whole.var(axis=0).sum()
    difference = whole - to_go  # of the same samples
    se = difference.std(axis=0) / np.sqrt(len(difference))
    assert np.all(np.abs(difference.mean(axis=0)) < 4.5 * se + 1e-6)


def test_leave_one_out_has_less_variance_than_no_baseline():
    _, none = losses_and_gradients(
        lambda theta, tokens: whole_sequence(theta, tokens, lambda r: 0.0), num=20_000
    )
    _, others = losses_and_gradients(whole_sequence, num=20_000)
    assert others.var(axis=0).sum() < 0.8 * none.var(axis=0).sum()


LOG_PROB = -jnp.arange(1.0, 7.0).reshape(3, 2)
REWARD = jnp.array([1.0, -2.0, 4.0])
STEPS = jnp.array([[1.0, 5.0], [-2.0, 0.5], [4.0, 3.0]])
RATIO = jnp.array([0.5, 2.0, 1.5])
STEP_RATIO = jnp.array([[0.5, 1.0], [2.0, 0.1], [1.5, 3.0]])
MASK = jnp.array([[True, False], [True, True], [False, True]])


@pytest.mark.parametrize("baseline", ["none", "scalar", "array"])
@pytest.mark.parametrize("weight", [None, RATIO, STEP_RATIO])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("reward", [REWARD, STEPS])
def test_the_formula(reward, mask, weight, baseline):
    level = {"none": None, "scalar": 0.7, "array": 0.3 * reward**2}[baseline]

    def loss(log_prob):
        return jd.score_function_loss(
            log_prob, reward, baseline=level, importance_weight=weight, mask=mask
        )

    def a_step(x, default):
        x = np.asarray(default if x is None else x, np.float64)
        return np.broadcast_to(x[:, None] if x.ndim == 1 else x, (3, 2))

    counts, ratios = a_step(mask, 1.0), a_step(weight, 1.0)
    signals = a_step(reward, None) - a_step(level, 0.0)
    total = np.asarray(reward)
    if reward.ndim == 2:
        total = np.asarray(reward)[range(3), np.argmax(counts, axis=1)]
    if weight is RATIO:
        total = total * np.asarray(RATIO)
    value, gradient = jax.value_and_grad(loss)(LOG_PROB)
    assert_close(gradient, -counts * ratios * signals / 3)
    assert_close(value, -total.mean())


def test_whole_samples_have_the_formula_of_reinforce():
    log_prob = LOG_PROB[:, 0]

    def loss(log_prob):
        return jd.score_function_loss(
            log_prob, REWARD, baseline=0.5, importance_weight=RATIO
        )

    value, gradient = jax.value_and_grad(loss)(log_prob)
    assert_close(gradient, -RATIO * (REWARD - 0.5) / 3)
    assert_close(value, -jnp.mean(RATIO * REWARD))


def test_padding_may_hold_anything():
    """Neither value nor gradient see it, nor what it was computed from."""
    padded = jnp.array([[jnp.nan, 1.0], [2.0, -jnp.inf], [3.0, jnp.nan]])
    mask = jnp.isfinite(padded)

    def loss(theta):
        log_prob = theta * padded
        credit = jd.reward_to_go(padded, mask=mask)
        return jd.score_function_loss(
            log_prob, credit, baseline=padded, importance_weight=padded, mask=mask
        )

    value, gradient = jax.value_and_grad(lambda x: loss(x).sum())(jnp.ones((3, 2)))
    assert_close(value, -2.0)
    assert bool(jnp.all(gradient[mask] == 0.0))
    assert bool(jnp.all(jnp.isfinite(value)))


def test_what_is_given_beside_log_prob_and_reward_is_stopped():
    def loss(parts):
        return jd.score_function_loss(
            LOG_PROB,
            REWARD,
            baseline=parts["baseline"],
            importance_weight=parts["weight"],
        )

    gradient = jax.grad(loss)({"baseline": 0.1 * REWARD, "weight": RATIO})
    assert all(bool(jnp.all(g == 0)) for g in jax.tree.leaves(gradient))
    gradient = jax.grad(lambda r: jd.leave_one_out(r).sum())(REWARD)
    assert bool(jnp.all(gradient == 0))


def test_a_live_reward_has_its_own_gradient():
    """A penalty inside the reward: its pathwise part is there as well."""
    reward = jax.grad(lambda r: jd.score_function_loss(LOG_PROB, r))(REWARD)
    assert_close(reward, jnp.full(3, -1.0 / 3))


def test_second_derivatives_and_forward_mode_are_refused():
    def loss(log_prob):
        return jd.score_function_loss(log_prob**2, REWARD)

    with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
        jax.eval_shape(jax.jacrev(jax.grad(loss)), LOG_PROB)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.eval_shape(jax.jacfwd(loss), LOG_PROB)


def test_prompts_are_mapped():
    log_probs, rewards = jnp.stack([LOG_PROB, 2 * LOG_PROB]), jnp.stack([STEPS, -STEPS])

    def loss(log_prob, reward):
        baseline = jd.leave_one_out(jd.reward_to_go(reward))
        return jd.score_function_loss(log_prob, reward, baseline=baseline)

    gradient = jax.value_and_grad(loss)
    loop = [gradient(p, r) for p, r in zip(log_probs, rewards, strict=True)]
    loop = jax.tree.map(lambda *x: jnp.stack(x), *loop)
    assert_close(jax.jit(jax.vmap(gradient))(log_probs, rewards), loop)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_dtypes(dtype):
    log_prob, reward = LOG_PROB.astype(dtype), REWARD.astype(dtype)

    def loss(log_prob):
        return jd.score_function_loss(
            log_prob, reward, baseline=jd.leave_one_out(REWARD), importance_weight=RATIO
        )

    value, gradient = jax.value_and_grad(loss)(log_prob)
    assert value.dtype == jnp.float32
    assert gradient.dtype == dtype
    assert jd.score_function_loss(log_prob, jnp.array([1, 2, 3])) == -2.0


def test_double_precision(x64):
    log_prob = LOG_PROB.astype(jnp.float64)
    value, gradient = jax.value_and_grad(jd.score_function_loss)(
        log_prob, REWARD, baseline=jnp.float64(0.1)
    )
    assert value.dtype == gradient.dtype == jnp.float64


def test_leave_one_out_is_independent_of_the_sample_itself():
    """Bit for bit, also next to something huge."""
    reward = jnp.array([1.0, 2.0, 6.0])
    assert_close(jd.leave_one_out(reward), jnp.array([4.0, 3.5, 1.5]))
    huge = jd.leave_one_out(reward.at[1].set(3e38))
    assert huge[1] == 3.5
    steps = jd.leave_one_out(STEPS)
    for t in range(2):
        assert_close(steps[:, t], jd.leave_one_out(STEPS[:, t]))


@pytest.mark.parametrize("discount", [1.0, 0.7, 0.0])
def test_reward_to_go_is_the_discounted_sum(discount):
    reward = jax.random.normal(KEY, (2, 3, 5))
    counts = jax.random.bernoulli(KEY, 0.7, (2, 3, 5))
    reward = jnp.where(counts, reward, jnp.nan)
    expected = np.zeros((2, 3, 5))
    for t in range(5):
        for s in range(t, 5):
            term = discount ** (s - t) * np.nan_to_num(np.asarray(reward)[..., s])
            expected[..., t] += term
    togo = jd.reward_to_go(reward, discount=discount, mask=counts)
    assert_close(togo, np.where(counts, expected, 0.0))
    row = jd.reward_to_go(reward[0, 0], discount=discount, mask=counts[0, 0])
    assert_close(row, togo[0, 0])


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        (
            {"reward": jnp.ones(2)},
            r"reward of shape \(3,\) or \(3, 2\), got shape",
        ),
        ({"reward": 1.0}, r"reward of shape .*, got shape \(\)\. Nothing is broadcast"),
        ({"reward": jnp.ones((3, 1))}, r"reward of shape .*, got shape \(3, 1\)"),
        (
            {"baseline": jnp.ones((3, 2))},
            r"baseline of shape \(\) or \(3,\), got shape \(3, 2\)",
        ),
        (
            {"reward": STEPS, "baseline": jnp.ones(3)},
            r"baseline of shape \(\) or \(3, 2\), got shape \(3,\)",
        ),
        (
            {"importance_weight": 1.0},
            r"importance_weight of shape \(3,\) or \(3, 2\), got shape \(\)",
        ),
        ({"mask": jnp.ones(3, bool)}, r"mask of shape \(3, 2\), got shape \(3,\)"),
        ({"log_prob": jnp.float32(0.0)}, r"\[group, time\], got shape \(\)\. Batch"),
        ({"log_prob": jnp.ones((2, 3, 2))}, r"\[group, time\], got shape \(2, 3, 2\)"),
        ({"log_prob": jnp.ones((0, 2))}, r"\[group, time\], got shape \(0, 2\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(keywords, match):
    given = {"log_prob": LOG_PROB, "reward": REWARD} | keywords
    with pytest.raises(ValueError, match=match):
        jd.score_function_loss(given.pop("log_prob"), given.pop("reward"), **given)


def test_the_other_texts():
    with pytest.raises(TypeError, match=r"to be floating, got int32\. Pass the log-pr"):
        jd.score_function_loss(jnp.array([0, 1]), jnp.ones(2))
    with pytest.raises(TypeError, match=r"reward to be real numbers, got bool\. Conve"):
        jd.score_function_loss(LOG_PROB, jnp.ones(3, bool))
    with pytest.raises(TypeError, match=r"boolean, .*, got float32\. Compare it"):
        jd.score_function_loss(LOG_PROB, REWARD, mask=jnp.ones((3, 2)))
    for alone in (jnp.ones(1), jnp.ones((1, 4)), jnp.float32(1.0)):
        with pytest.raises(ValueError, match=r"at least two samples in .* got shape"):
            jd.leave_one_out(alone)
    with pytest.raises(ValueError, match=r"\[\.\.\., time\] in .*, got a scalar"):
        jd.reward_to_go(1.0)
    with pytest.raises(ValueError, match=r"discount of shape \(\), got shape \(2,\)"):
        jd.reward_to_go(STEPS, discount=jnp.ones(2))
    with pytest.raises(ValueError, match=r"mask of shape \(3, 2\), got shape \(3,\)"):
        jd.reward_to_go(STEPS, mask=jnp.ones(3, bool))
