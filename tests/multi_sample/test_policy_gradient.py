"""The score function of drawn samples: its formula, and what it refuses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.trees import assert_close

KEY = jax.random.key(5)
LOG_PROB = -jnp.arange(1.0, 7.0).reshape(3, 2)
REWARD = jnp.array([1.0, -2.0, 4.0])
STEPS = jnp.array([[1.0, 5.0], [-2.0, 0.5], [4.0, 3.0]])
RATIO = jnp.array([0.5, 2.0, 1.5])
STEP_RATIO = jnp.array([[0.5, 1.0], [2.0, 0.1], [1.5, 3.0]])
MASK = jnp.array([[True, False], [True, True], [False, True]])


@pytest.mark.parametrize("reward", [REWARD, STEPS], ids=["whole", "steps"])
def test_the_formula(reward):
    """With every baseline, weight and mask, in one program."""
    cases = list(
        itertools.product(
            (None, 0.7, 0.3 * reward**2), (None, RATIO, STEP_RATIO), (None, MASK)
        )
    )

    @jax.jit
    def all_of_them(log_prob):
        def both(level, weight, mask):
            def loss(log_prob):
                return jd.score_function_loss(
                    log_prob,
                    reward,
                    baseline=level,
                    importance_weight=weight,
                    mask=mask,
                )

            return jax.value_and_grad(loss)(log_prob)

        return [both(*case) for case in cases]

    def a_step(x, default):
        x = np.asarray(default if x is None else x, np.float64)
        return np.broadcast_to(x[:, None] if x.ndim == 1 else x, (3, 2))

    results = all_of_them(LOG_PROB)
    for (level, weight, mask), (value, gradient) in zip(cases, results, strict=True):
        counts, ratios = a_step(mask, 1.0), a_step(weight, 1.0)
        signals = a_step(reward, None) - a_step(level, 0.0)
        total = np.asarray(reward)
        if reward.ndim == 2:
            total = np.asarray(reward)[range(3), np.argmax(counts, axis=1)]
        if weight is RATIO:
            total = total * np.asarray(RATIO)
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


def test_missing_samples_are_left_out_of_the_others():
    """As in the group without them; whoever has no others has no baseline."""
    reward = jnp.array([1.0, 2.0, jnp.nan, 6.0])
    mask = ~jnp.isnan(reward)
    left = jnp.array([4.0, 3.5, 0.0, 1.5])
    assert_close(jd.leave_one_out(reward, mask=mask), left)
    full = jnp.array([1.0, 2.0, 3.0, 6.0])
    steps = jnp.stack([reward, reward, full], axis=1)
    masks = jnp.stack([mask, mask & (jnp.arange(4) == 1), mask | True], axis=1)
    expected = jnp.stack([left, jnp.zeros(4), jd.leave_one_out(full)], axis=1)
    assert_close(jd.leave_one_out(steps, mask=masks), expected)
    with pytest.raises(TypeError, match="mask to be boolean"):
        jd.leave_one_out(reward, mask=jnp.ones(4))
    with pytest.raises(ValueError, match=r"mask of shape \(4,\), got shape \(3,\)"):
        jd.leave_one_out(reward, mask=mask[:3])


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
