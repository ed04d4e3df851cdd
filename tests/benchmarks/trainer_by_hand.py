"""The trainer's step as one writes it for one model and one estimator.

A linear belief network by NVIL or by REBAR: the same parameters, batches, optimiser,
moments of the gradient and norms as the trainer has, for a batch at once and without
anything of the library.
"""

import jax
import jax.numpy as jnp
import optax

VARIANCE_DECAY = 0.999


def affine(layer, x):
    return x @ layer["kernel"] + layer["bias"]


def log_prob(logits, z):
    return jnp.sum(z * logits - jax.nn.softplus(logits), axis=-1)


def cost(model, logits, z, x):
    """Of every row: log q(z) at the logits, less the log of the joint density."""
    pixels = affine(model["decoder"]["layer_0"]["output"], 2.0 * z - 1.0)
    return log_prob(logits, z) - log_prob(pixels, x) - log_prob(model["prior"], z)


def logits_of(model, inputs):
    return affine(model["encoder"]["layer_0"]["output"], inputs)


def uniforms(key, shape):
    def one(key):
        return jax.random.uniform(key, shape[1:], minval=1e-7, maxval=1.0 - 1e-7)

    return jax.vmap(one)(jax.random.split(key, shape[0]))


def nvil(model, cv, key, x, mean):
    inputs = x - mean
    logits = logits_of(model, inputs)
    frozen = jax.lax.stop_gradient(logits)
    p = jax.nn.sigmoid(frozen)
    z = (uniforms(key, p.shape) < p).astype(jnp.float32)
    value = cost(model, frozen, z, x)
    net = cv["layer_0"]["baseline"]["MLP_0"]
    baseline = affine(net["output"], jnp.tanh(affine(net["Dense_0"], inputs)))[..., 0]
    error = jax.lax.stop_gradient(value) - baseline
    score = jax.lax.stop_gradient(error)[:, None] * (z - p)
    attached = jnp.sum(score * logits, axis=-1) + 0.5 * error**2
    return (value + attached - jax.lax.stop_gradient(attached)).mean()


def rebar(model, cv, key, x, mean):
    inputs = x - mean
    live = logits_of(model, inputs)
    held, logits = jax.lax.stop_gradient((model, live))
    u = uniforms(key, logits.shape)
    zeta = logits + jnp.log(u) - jnp.log1p(-u)
    z = (zeta > 0).astype(jnp.float32)
    p = jax.nn.sigmoid(logits)
    slope = 1.0 + jnp.expm1(-jnp.abs(zeta)) * jnp.where(z > 0, p, 1.0 - p)
    value = cost(model, logits, z, x)

    def second_moment(cv):
        t = jnp.exp(cv["layer_0"]["log_temperature"])
        scale = cv["layer_0"]["scale"]

        def relaxed(zeta):
            s = jax.nn.sigmoid((zeta + logits * (t * t / (t + 1.0))) / t)
            out = cost(held, logits, s, x)
            return out.sum(), out

        d, c = jax.grad(relaxed, has_aux=True)(zeta)
        h = scale * (c[:, None] * (z - p) - d * slope)
        g = jax.lax.stop_gradient(value)[:, None] * (z - p) - h
        return jnp.sum(g * g) / len(x), g

    to_cv, g = jax.grad(second_moment, has_aux=True)(jax.lax.stop_gradient(cv))
    attached = jnp.sum(jax.lax.stop_gradient(g) * live, axis=-1).mean()
    attached += optax.tree.vdot(cv, to_cv)
    return value.mean() + attached - jax.lax.stop_gradient(attached)


LOSSES = {"nvil": nvil, "rebar": rebar}


def block_of(loss, task, params, data):
    """A block of steps, and the state before the first.

    Args:
      loss: ``(model, cv, key, x, mean) -> scalar``.
      task: whose batches and settings it takes.
      params: ``{"model", "control_variate"}``.
      data: of the task.

    Returns:
      ``(block, state)``, with ``block(state, data) -> (state, checked)``.
    """
    settings = task.config.optimizer
    rate = settings.learning_rate.arguments["value"]
    mean = jnp.asarray(task.pixel_mean)

    def adam(rate):
        return optax.adam(rate, settings.momentum, settings.square_decay)

    txs = {
        "model": adam(rate),
        "control_variate": adam(settings.control_variate_factor * rate),
    }
    opt_state = {name: tx.init(params[name]) for name, tx in txs.items()}
    zeros = jax.tree.map(jnp.zeros_like, params["model"])

    def step(state, rows, data):
        count, params, opt_state, first, second = state
        key = jax.random.fold_in(jax.random.key(0), count)
        x = data.train[rows].astype(jnp.float32)

        def of(params):
            return loss(params["model"], params["control_variate"], key, x, mean)

        value, grads = jax.value_and_grad(of)(params)
        new, new_opt = {}, {}
        for name, tx in txs.items():
            with jax.numpy_dtype_promotion("standard"):
                updates, new_opt[name] = tx.update(grads[name], opt_state[name])
            new[name] = optax.apply_updates(params[name], updates)
        decay = 1.0 - VARIANCE_DECAY
        first = jax.tree.map(lambda m, g: m + decay * (g - m), first, grads["model"])
        second = jax.tree.map(
            lambda s, g: s + decay * (g * g - s), second, grads["model"]
        )
        norms = {name: optax.tree.norm(g) for name, g in grads.items()}
        return (count + 1, new, new_opt, first, second), (value, norms)

    def block(state, data):
        num_steps = task.config.training.steps_per_block
        rows = task.batches(state[0], num_steps, data)
        return jax.lax.scan(lambda s, r: step(s, r, data), state, rows)

    return block, (jnp.zeros((), jnp.int32), params, opt_state, zeros, zeros)
