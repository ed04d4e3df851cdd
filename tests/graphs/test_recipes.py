"""The recipes of the page of sequences, against numbers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import BINARY, exact_gradient_of, expected_cost, gradients
from tests.graphs.test_nested import THETA, policy, step
from tests.helpers.statistics import assert_unbiased


def expected(theta):
    return expected_cost(policy, step, jnp.array(0.0), theta, BINARY)


def relaxed(theta, noise, temperature):
    """Two relaxed decisions in a plain scan, from given logistic noise."""

    def body(previous, row):
        x, noise = row
        z = jax.nn.sigmoid((policy(previous, x)[0].logits + noise) / temperature)
        return step(previous, z, x)

    return jax.lax.scan(body, 0.0, (theta, noise))[1].sum()


def quadrature(theta, temperature, num=400):
    """The expectation of the relaxed sequence, on a grid of both uniforms."""
    u = (jnp.arange(float(num)) + 0.5) / num
    noise = jnp.log(u) - jnp.log1p(-u)
    of_row = jax.vmap(
        lambda a, b: relaxed(theta, jnp.stack([a, b]), temperature), (None, 0)
    )
    return jax.vmap(of_row, (0, None))(noise, noise).mean()


@pytest.mark.thorough
def test_relaxed_decisions_in_a_plain_scan():
    """The recipe of the guide: exact for the relaxed program, and that for low t."""
    theta, t = THETA[:2], 0.5

    def sampled(theta, key):
        def body(previous, row):
            x, key = row
            q, _ = policy(previous, x)
            logits = jnp.stack([jnp.zeros_like(q.logits), q.logits])
            z = jd.sample_gumbel_softmax(key, logits, temperature=t)[1]
            return step(previous, z, x)

        keys = jax.random.split(key, len(theta))
        return jax.lax.scan(body, 0.0, (theta, keys))[1].sum()

    gradient = jax.jit(jax.grad(quadrature))
    values, samples = gradients(sampled, theta)
    assert_unbiased(values[:, None], [quadrature(theta, t)])
    assert_unbiased(samples, gradient(theta, t))

    exact = exact_gradient_of(expected, theta)
    errors = [np.abs(gradient(theta, t) / exact - 1.0).max() for t in (0.5, 0.25, 0.1)]
    assert errors[0] > 0.05  # biased
    assert errors[0] > 2.0 * errors[1] > 4.0 * errors[2]
    assert errors[2] < 0.02


def old_policy(previous, x):
    return jd.Bernoulli(0.5 * (x + previous))


def replay(theta, zs):
    """Of given decisions: log-probabilities, rewards and both policies' ratios."""

    def body(previous, row):
        x, z = row
        old = old_policy(previous, jax.lax.stop_gradient(x))
        action = jd.Action(z, old.log_prob(z))
        q, _ = policy(previous, x)
        new, cost = step(previous, z, x)
        ratio = jd.importance_weight(q, action)
        return new, (q.log_prob(z), -cost, ratio, action.log_prob)

    return jax.lax.scan(body, 0.0, (theta, zs))[1]


def of_the_sequence(ratio, advantage):
    return jnp.prod(ratio, axis=1)


def of_the_sequence_clipped(ratio, advantage):
    return jnp.clip(jnp.prod(ratio, axis=1), 0.8, 1.2)


def of_the_step(ratio, advantage):
    return ratio


def clipped(ratio, advantage):
    """PPO: nothing moves a probability further away than by a fifth."""
    is_out = jnp.where(advantage > 0, ratio > 1.2, ratio < 0.8)
    return jnp.where(is_out, 0.0, ratio)


def group_loss(theta, zs, weigh):
    log_prob, reward, ratio, old = jax.vmap(replay, (None, 0))(theta, zs)
    to_go = jd.reward_to_go(reward)
    baseline = jd.leave_one_out(to_go)
    loss = jd.score_function_loss(
        log_prob,
        to_go,
        baseline=baseline,
        importance_weight=weigh(ratio, to_go - baseline),
    )
    return loss, (log_prob, to_go - baseline, old)


def expected_gradient(weigh):
    """Over all pairs of sequences of the old policy, a group of two each."""
    sequences = jnp.array(list(itertools.product((0.0, 1.0), repeat=len(THETA))))
    pairs = jnp.array(list(itertools.product(range(len(sequences)), repeat=2)))

    def one(pair):
        grad = jax.grad(group_loss, has_aux=True)
        gradient, (_, _, old) = grad(THETA, sequences[pair], weigh)
        return gradient * jnp.exp(old.sum())

    return jax.jit(jax.vmap(one))(pairs).sum(axis=0)


@pytest.mark.thorough
def test_whole_sequence_weights_are_exact_and_others_are_biased():
    """The enumeration of what the loss of a group has for a gradient."""
    exact = exact_gradient_of(expected, THETA)
    np.testing.assert_allclose(expected_gradient(of_the_sequence), exact, rtol=1e-4)
    for weigh in (of_the_sequence_clipped, of_the_step, clipped):
        bias = np.abs(expected_gradient(weigh) / exact - 1.0).max()
        assert bias > 0.2, weigh.__name__
    # Clipping adds a bias to that of leaving out the ratios of earlier steps.
    difference = expected_gradient(clipped) - expected_gradient(of_the_step)
    assert np.abs(difference).max() > 0.1


def test_clipped_weights_are_the_gradient_of_the_surrogate_of_ppo():
    keys = jax.random.split(jax.random.key(0), 64)
    zs = jax.vmap(lambda k: jax.random.bernoulli(k, 0.6, THETA.shape))(keys)
    zs = zs.astype(jnp.float32)
    grad = jax.jit(jax.grad(lambda x: group_loss(x, zs, clipped), has_aux=True))
    gradient, (_, advantage, old) = grad(THETA)

    def surrogate(theta):
        log_prob = jax.vmap(replay, (None, 0))(theta, zs)[0]
        ratio = jnp.exp(log_prob - old)
        moved = jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.8, 1.2) * advantage)
        return -moved.sum(axis=1).mean()

    np.testing.assert_allclose(gradient, jax.jit(jax.grad(surrogate))(THETA), rtol=1e-4)
