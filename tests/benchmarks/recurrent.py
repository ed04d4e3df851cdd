"""A recurrent policy: one gradient step by the library, by hand, and with rlax.

A network of gated recurrent units reads a picture of the world and its last action, and
chooses among classes; a wrong choice costs one. Time, batch and sizes are those of a
small agent.
"""

import jax
import jax.numpy as jnp

import jaxdiscrete as jd

UNITS, CLASSES, FEATURES, TIME, BATCH = 128, 10, 32, 100, 64


def problem(time=TIME, batch=BATCH):
    """Parameters, inputs ``[batch, time, ...]`` and a key per episode."""
    keys = jax.random.split(jax.random.key(0), 8)

    def weights(key, *shape):
        return jax.random.normal(key, shape) / jnp.sqrt(shape[0])

    params = {
        "recurrent": weights(keys[0], UNITS, 3 * UNITS),
        "input": weights(keys[1], FEATURES + CLASSES, 3 * UNITS),
        "bias": jnp.zeros(3 * UNITS),
        "policy": weights(keys[2], UNITS, CLASSES),
        "baseline": weights(keys[3], UNITS),
    }
    right = jax.random.randint(keys[5], (batch, time), 0, CLASSES)
    length = jax.random.randint(keys[6], (batch, 1), 1, time + 1)
    xs = {
        "features": jax.random.normal(keys[4], (batch, time, FEATURES)),
        "right": jax.nn.one_hot(right, CLASSES),
        "is_inside": jnp.arange(time) < length,
    }
    return params, xs, jax.random.split(keys[7], batch)


def recur(params, h, x, z):
    """The next state of the gated recurrent units."""
    read = jnp.concatenate([x["features"], z]) @ params["input"] + params["bias"]
    kept = h @ params["recurrent"]
    read_r, read_u, read_n = jnp.split(read, 3)
    kept_r, kept_u, kept_n = jnp.split(kept, 3)
    reset, update = jax.nn.sigmoid(read_r + kept_r), jax.nn.sigmoid(read_u + kept_u)
    return (1.0 - update) * jnp.tanh(read_n + reset * kept_n) + update * h


def cost_of(x, z):
    return 1.0 - z @ x["right"]


def mean_over_batch(loss_of_episode):
    """``(params, xs, keys) -> gradient`` of a loss of one episode."""

    def loss(params, xs, keys):
        each = jax.vmap(loss_of_episode, in_axes=(None, 0, 0))
        return each(params, xs, keys).mean()

    return jax.value_and_grad(loss)


def library(estimator, **options):
    """The step by :func:`jaxdiscrete.sequential`."""

    def loss(params, xs, key):
        def policy(h, x):
            return jd.OneHotCategorical(h @ params["policy"]), (h,)

        def step(h, z, x):
            return recur(params, h, x, z), cost_of(x, z)

        def transform(f):
            return estimator(f, lambda h: h @ params["baseline"])

        estimate = jd.sequential(transform, policy, step, **options)
        return estimate(key, jnp.zeros(UNITS), xs)

    return mean_over_batch(loss)


def with_baseline(f, baseline):
    return jd.reinforce(f, baseline=jd.least_squares(baseline))


LIBRARY = {
    "reinforce": library(with_baseline),
    "nvil": library(lambda f, baseline: jd.nvil(f, baseline=baseline)),
    "reinforce, masked": library(with_baseline, active=lambda h, x: x["is_inside"]),
    "4 rollouts": library(lambda f, baseline: jd.reinforce(f), num_samples=4),
}


def draw_as_jax(key, logits):
    return jax.nn.one_hot(jax.random.categorical(key, logits), CLASSES)


def draw_as_the_library(key, logits):
    return jd.OneHotCategorical(logits).sample(key)


def rollout(params, xs, key, draw, is_masked=False):
    """What a scan collects: costs, log-probabilities, values, logits and actions."""

    def body(h, row):
        x, key = row
        logits = h @ params["policy"]
        z = jax.lax.stop_gradient(draw(key, logits))
        log_prob = jax.nn.log_softmax(logits) @ z
        value = jax.lax.stop_gradient(h) @ params["baseline"]
        new, cost = recur(params, h, x, z), cost_of(x, z)
        if is_masked:
            new = jnp.where(x["is_inside"], new, h)
            parts = (cost, log_prob, value)
            cost, log_prob, value = (jnp.where(x["is_inside"], a, 0.0) for a in parts)
        return new, (cost, log_prob, value, logits, z)

    keys = jax.random.split(key, xs["features"].shape[0])
    return jax.lax.scan(body, jnp.zeros(UNITS), (xs, keys))[1]


def to_go(costs):
    return jax.lax.stop_gradient(jnp.cumsum(costs[::-1])[::-1])


def with_gradient_of(value, surrogate):
    """The value of one and the gradient of both."""
    return value + surrogate - jax.lax.stop_gradient(surrogate)


def by_hand(draw, is_masked=False):
    """REINFORCE with a baseline fitted by squared error, as one writes it."""

    def loss(params, xs, key):
        # The key that the library draws with, so that both draw the same actions.
        key = jax.random.split(key)[0]
        costs, log_prob, value, _, _ = rollout(params, xs, key, draw, is_masked)
        error = to_go(costs) - value
        surrogate = jax.lax.stop_gradient(error) * log_prob + 0.5 * error**2
        return with_gradient_of(costs.sum(), surrogate.sum())

    return mean_over_batch(loss)


def rollouts_by_hand(draw, num_samples=4):
    """Several rollouts of one start, each centred by the others."""

    def loss(params, xs, key):
        keys = jax.random.split(jax.random.split(key)[0], num_samples)
        costs, log_prob, *_ = jax.vmap(lambda k: rollout(params, xs, k, draw))(keys)
        signal = jax.vmap(to_go)(costs)
        signal = (signal - signal.mean(axis=0)) * num_samples / (num_samples - 1)
        surrogate = signal * log_prob
        return with_gradient_of(costs.sum(), surrogate.sum()) / num_samples

    return mean_over_batch(loss)


def by_loss_of_policy(policy_gradient_loss, draw):
    """The same scan with a loss of logits, actions and advantages, as rlax has it."""

    def loss(params, xs, key):
        key = jax.random.split(key)[0]
        costs, _, value, logits, z = rollout(params, xs, key, draw)
        error = to_go(costs) - value
        # A mean over time, of rewards, where the others are a sum of costs.
        of_policy = costs.size * policy_gradient_loss(
            logits, jnp.argmax(z, axis=-1), -error, jnp.ones_like(costs)
        )
        return with_gradient_of(costs.sum(), of_policy + 0.5 * jnp.sum(error**2))

    return mean_over_batch(loss)
