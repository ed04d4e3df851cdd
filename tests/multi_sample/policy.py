"""A small policy over sequences, and its expectations over all of them."""

import itertools

import jax
import jax.numpy as jnp

# A policy over tokens 0 (the end), 1, 2: three steps, each given the token before.
START, END, TIME = 3, 0, 3
THETA = jnp.array(
    [[-0.5, 0.4, 0.1], [0.3, -0.4, 0.6], [-0.7, 0.5, 0.2], [-1.0, 0.3, 0.5]]
)
OTHER = THETA + 0.5 * jnp.sin(jnp.arange(12.0).reshape(4, 3))
STEP_REWARD = jnp.array([[0.0, 3.0, 0.0], [0.0, -4.0, 3.0], [0.0, 2.0, 6.0]])
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
