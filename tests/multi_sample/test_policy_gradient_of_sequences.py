"""Losses of drawn sequences, against all sequences of a small policy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import assert_unbiased, map_in_chunks
from tests.multi_sample.policy import (
    OTHER,
    THETA,
    expectation,
    interaction,
    sample_group,
    steps_of,
    total_reward,
)

KEY = jax.random.key(5)


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
        pytest.param(whole_sequence, interaction, THETA, marks=pytest.mark.thorough),
        pytest.param(
            whole_reward_a_step, interaction, THETA, marks=pytest.mark.thorough
        ),
        (reward_from_here, total_reward, THETA),
        (off_policy, interaction, OTHER),
    ],
    ids=["whole_sequence", "whole_reward_a_step", "reward_to_go", "off_policy"],
)
def test_value_and_gradient_are_unbiased(loss, reward, drawn_from):
    of_all = jax.jit(jax.value_and_grad(lambda theta: expectation(theta, reward)))
    exact, gradient = of_all(THETA)
    values, grads = losses_and_gradients(loss, drawn_from)
    assert_unbiased(grads, -gradient.reshape(-1))
    assert_unbiased(values[:, None], -exact[None])


@pytest.mark.thorough
def test_the_mean_of_the_whole_group_shrinks_the_gradient():
    """By (G - 1) / G, which leave-one-out does not."""
    gradient = jax.jit(jax.grad(lambda t: expectation(t, interaction)))(THETA)

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


@pytest.mark.thorough
def test_leave_one_out_has_less_variance_than_no_baseline():
    _, none = losses_and_gradients(
        lambda theta, tokens: whole_sequence(theta, tokens, lambda r: 0.0), num=20_000
    )
    _, others = losses_and_gradients(whole_sequence, num=20_000)
    assert others.var(axis=0).sum() < 0.8 * none.var(axis=0).sum()
