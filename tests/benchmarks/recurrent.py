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
    keys = jax.random.split(jax.random.key(0), 7)

    def weights(key, *shape):
        return jax.random.normal(key, shape) / jnp.sqrt(shape[0])

    params = {
        "recurrent": weights(keys[0], UNITS, 3 * UNITS),
        "input": weights(keys[1], FEATURES + CLASSES, 3 * UNITS),
        "bias": jnp.zeros(3 * UNITS),
        "policy": weights(keys[2], UNITS, CLASSES),
        "baseline": weights(keys[3], UNITS),
    }
    xs = {
        "features": jax.random.normal(keys[4], (batch, time, FEATURES)),
        "right": jax.nn.one_hot(
            jax.random.randint(keys[5], (batch, time), 0, CLASSES), CLASSES
        ),
    }
    return params, xs, jax.random.split(keys[6], batch)


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


def library(estimator):
    """The step by :func:`jaxdiscrete.sequential`."""

    def loss(params, xs, key):
        def policy(h, x):
            return jd.OneHotCategorical(h @ params["policy"]), (h,)

        def step(h, z, x):
            return recur(params, h, x, z), cost_of(x, z)

        def transform(f):
            return estimator(f, lambda h: h @ params["baseline"])

        return jd.sequential(transform, policy, step)(key, jnp.zeros(UNITS), xs)

    return mean_over_batch(loss)


LIBRARY = {
    "reinforce": library(lambda f, b: jd.reinforce(f, baseline=jd.least_squares(b))),
    "nvil": library(lambda f, b: jd.nvil(f, baseline=b)),
    "by variance": library(lambda f, b: jd.reinforce(f, baseline=b)),
}


def draw_by_gumbels(key, logits):
    return jax.nn.one_hot(jax.random.categorical(key, logits), CLASSES)


def draw_as_the_library(key, logits):
    return jd.OneHotCategorical(logits).sample(key)


def rollout(params, xs, key, draw):
    """What a scan collects: costs, log-probabilities, logits, actions and values."""

    def body(h, row):
        x, key = row
        logits = h @ params["policy"]
        z = jax.lax.stop_gradient(draw(key, logits))
        log_prob = jax.nn.log_softmax(logits) @ z
        value = jax.lax.stop_gradient(h) @ params["baseline"]
        return recur(params, h, x, z), (cost_of(x, z), log_prob, logits, z, value)

    # The keys of the library, so that both draw the same actions.
    keys = jax.random.split(jax.random.split(key)[0], xs["features"].shape[0])
    return jax.lax.scan(body, jnp.zeros(UNITS), (xs, keys))[1]


def to_go(costs):
    return jax.lax.stop_gradient(jnp.cumsum(costs[::-1])[::-1])


def with_gradient_of(value, surrogate):
    """The value of one and the gradient of both."""
    return value + surrogate - jax.lax.stop_gradient(surrogate)


def by_hand(draw=draw_by_gumbels):
    """REINFORCE with a baseline fitted by squared error, as one writes it."""

    def loss(params, xs, key):
        costs, log_prob, _, _, value = rollout(params, xs, key, draw)
        error = to_go(costs) - value
        surrogate = jax.lax.stop_gradient(error) * log_prob + 0.5 * error**2
        return with_gradient_of(costs.sum(), surrogate.sum())

    return mean_over_batch(loss)


def by_rlax(policy_gradient_loss, draw=draw_by_gumbels):
    """The same scan with rlax's loss of a policy, for rewards."""

    def loss(params, xs, key):
        costs, _, logits, z, value = rollout(params, xs, key, draw)
        error = to_go(costs) - value
        actions = jnp.argmax(z, axis=-1)
        advantages = -jax.lax.stop_gradient(error)
        # A mean over time, where the others are a sum.
        time = jnp.ones_like(costs)
        of_policy = policy_gradient_loss(logits, actions, advantages, time)
        surrogate = time.size * of_policy + 0.5 * jnp.sum(error**2)
        return with_gradient_of(costs.sum(), surrogate)

    return mean_over_batch(loss)
