"""A linear sigmoid belief network: one gradient step by the library and by hand."""

import jax
import jax.numpy as jnp

import jaxdiscrete as jd

PIXELS, LATENTS, BATCH = 784, 200, 100


def problem():
    """Parameters, control-variate parameters, a batch of binary images, a key."""
    keys = jax.random.split(jax.random.key(0), 6)
    model = {
        "encoder": 0.05 * jax.random.normal(keys[0], (PIXELS, LATENTS)),
        "encoder_bias": jnp.zeros(LATENTS),
        "decoder": 0.05 * jax.random.normal(keys[1], (LATENTS, PIXELS)),
        "decoder_bias": jnp.zeros(PIXELS),
        "prior": jnp.zeros(LATENTS),
    }
    cv = {
        "log_temperature": jnp.log(0.5),
        "scale": jnp.array(1.0),
        "w1": 0.1 * jax.random.normal(keys[2], (LATENTS, 100)),
        "w2": 0.1 * jax.random.normal(keys[3], (100,)),
    }
    x = jax.random.bernoulli(keys[4], 0.2, (BATCH, PIXELS)).astype(jnp.float32)
    return model, cv, x, keys[5]


def bernoulli_log_prob(logits, z):
    return jnp.sum(z * logits - jax.nn.softplus(logits), axis=-1)


def encode(model, x):
    return x @ model["encoder"] + model["encoder_bias"]


def negative_elbo(model, z, logits, x):
    """One example, or a batch of rows."""
    decoded = z @ model["decoder"] + model["decoder_bias"]
    return (
        bernoulli_log_prob(logits, z)
        - bernoulli_log_prob(decoded, x)
        - bernoulli_log_prob(model["prior"], z)
    )


def critic(cv, z):
    return jnp.tanh(z @ cv["w1"]) @ cv["w2"]


def library_step(make):
    """``(model, cv, x, key) -> gradients`` of an estimator of the library."""

    def loss(model, cv, x, key):
        def one(key, logits, x):
            def f(z):
                return negative_elbo(model, z, logits, x)

            return make(f, cv)(key, jd.Bernoulli(logits))

        keys = jax.random.split(key, BATCH)
        return jax.vmap(one)(keys, encode(model, x), x).mean()

    return jax.grad(loss, argnums=(0, 1))


LIBRARY = {
    "mean field": lambda f, cv: jd.mean_field(f),
    "reinforce": lambda f, cv: jd.reinforce(f),
    "rebar": lambda f, cv: jd.rebar(
        f, temperature=jnp.exp(cv["log_temperature"]), scale=cv["scale"]
    ),
    "relax": lambda f, cv: jd.relax(
        f, lambda z: critic(cv, z), temperature=jnp.exp(cv["log_temperature"])
    ),
    "leave-one-out, 4": lambda f, cv: jd.reinforce_loo(f, num_samples=4),
    "arm": lambda f, cv: jd.arm(f),
    "disarm": lambda f, cv: jd.disarm(f),
    "reinmax": lambda f, cv: jd.reinmax(f),
    "vimco, 4": lambda f, cv: negated(jd.bounds.vimco(lambda z: -f(z), num_samples=4)),
}

# Against leave-one-out at two samples, in variance times time; not written by hand.
OTHERS = {
    "leave-one-out, 2": lambda f, cv: jd.reinforce_loo(f, num_samples=2),
    "leave-one-out, 8": lambda f, cv: jd.reinforce_loo(f, num_samples=8),
    "muprop": lambda f, cv: jd.muprop(f),
    "arms, 4": lambda f, cv: jd.arms(f, num_samples=4),
    "double_cv, 2": lambda f, cv: jd.double_cv(f, num_samples=2, scale=1.0),
    "unordered_set, 4": lambda f, cv: jd.unordered_set(f, num_samples=4),
}


def negated(estimate):
    """A bound that is maximised, as a loss."""
    return lambda key, q: -estimate(key, q)


def hard_and_soft(key, logits):
    """Logistic noise a row at a time, as under vmap."""

    def one(key):
        u = jax.random.uniform(key, (LATENTS,), minval=1e-7, maxval=1.0 - 1e-7)
        return jnp.log(u) - jnp.log1p(-u)

    zeta = logits + jax.vmap(one)(jax.random.split(key, BATCH))
    return (zeta > 0).astype(jnp.float32), zeta


def hand_mean_field(model, cv, x, key):
    def loss(model):
        logits = encode(model, x)
        return negative_elbo(model, jax.nn.sigmoid(logits), logits, x).mean()

    return jax.grad(loss)(model), jax.tree.map(jnp.zeros_like, cv)


def hand_reinforce(model, cv, x, key):
    def loss(model):
        logits = encode(model, x)
        p = jax.lax.stop_gradient(jax.nn.sigmoid(logits))

        def one(key):
            return jax.random.uniform(key, (LATENTS,))

        u = jax.vmap(one)(jax.random.split(key, BATCH))
        z = (u < p).astype(jnp.float32)
        value = negative_elbo(model, z, logits, x)
        weight = jax.lax.stop_gradient(value)[:, None]
        return (value + jnp.sum(weight * (z - p) * logits, axis=-1)).mean()

    return jax.grad(loss)(model), jax.tree.map(jnp.zeros_like, cv)


def hand_control_variate(model, cv, x, key, surrogate):
    """REBAR and RELAX: ``surrogate(cv, s)`` is what is relaxed."""
    logits = jax.lax.stop_gradient(encode(model, x))
    z, zeta = hard_and_soft(key, logits)
    p = jax.nn.sigmoid(logits)
    chosen = jnp.where(z > 0, p, 1.0 - p)
    slope = 1.0 + jnp.expm1(-jnp.abs(zeta)) * chosen
    value = negative_elbo(model, z, logits, x)

    def second_moment(cv):
        t = jnp.exp(cv["log_temperature"])

        def relaxed(zeta):
            out = surrogate(cv, jax.nn.sigmoid(zeta / t), logits)
            return out.sum(), out

        d, c = jax.grad(relaxed, has_aux=True)(zeta)
        g = (value - c)[:, None] * (z - p) + d * slope
        return jnp.sum(g * g) / BATCH, g

    to_cv, g = jax.grad(second_moment, has_aux=True)(cv)

    def loss(model):
        logits = encode(model, x)
        pathwise = negative_elbo(model, z, logits, x)
        return (pathwise + jnp.sum(g * logits, axis=-1)).mean()

    return jax.grad(loss)(model), to_cv


def hand_rebar(model, cv, x, key):
    def surrogate(cv, s, logits):
        return cv["scale"] * negative_elbo(model, s, logits, x)

    return hand_control_variate(model, cv, x, key, surrogate)


def hand_relax(model, cv, x, key):
    def surrogate(cv, s, logits):
        return critic(cv, s)

    return hand_control_variate(model, cv, x, key, surrogate)


def hand_samples(key, logits, num_samples):
    """Hard samples ``[batch, samples, latents]``, an example at a time."""

    def one(key, p):
        def row(key):
            return jax.random.uniform(key, (LATENTS,)) < p

        return jax.vmap(row)(jax.random.split(key, num_samples))

    p = jax.lax.stop_gradient(jax.nn.sigmoid(logits))
    z = jax.vmap(one)(jax.random.split(key, BATCH), p)
    return z.astype(jnp.float32), p


def hand_values(model, z, logits, x):
    """The objective of every sample of every example, ``[batch, samples]``."""

    def rows(z, logits, x):
        return jax.vmap(lambda z: negative_elbo(model, z, logits, x))(z)

    return jax.vmap(rows)(z, logits, x)


def hand_leave_one_out(model, cv, x, key):
    def loss(model):
        logits = encode(model, x)
        z, p = hand_samples(key, logits, 4)
        value = hand_values(model, z, logits, x)
        signal = jax.lax.stop_gradient(value - value.mean(axis=1, keepdims=True)) / 3.0
        g = jnp.einsum("bk,bkd->bd", signal, z - p[:, None])
        return (value.mean(axis=1) + jnp.sum(g * logits, axis=-1)).mean()

    return jax.grad(loss)(model), jax.tree.map(jnp.zeros_like, cv)


def hand_vimco(model, cv, x, key):
    def loss(model):
        logits = encode(model, x)
        z, p = hand_samples(key, logits, 4)
        log_weights = -hand_values(model, z, logits, x)
        frozen = jax.lax.stop_gradient(log_weights)
        total = jax.nn.logsumexp(frozen, axis=1, keepdims=True)
        mean = (frozen.sum(axis=1, keepdims=True) - frozen) / 3.0
        without = jnp.where(jnp.eye(4, dtype=bool), mean[:, None], frozen[:, None])
        signal = total - jax.nn.logsumexp(without, axis=2)
        g = jnp.einsum("bk,bkd->bd", signal, z - p[:, None])
        bound = jax.nn.logsumexp(log_weights, axis=1) - jnp.log(4.0)
        return -(bound + jnp.sum(g * logits, axis=-1)).mean()

    return jax.grad(loss)(model), jax.tree.map(jnp.zeros_like, cv)


def hand_pairs(model, cv, x, key, weight):
    def loss(model):
        logits = encode(model, x)
        frozen = jax.lax.stop_gradient(logits)
        _, zeta = hand_and_noise(key, frozen)
        first = (frozen + zeta > 0).astype(jnp.float32)
        second = (frozen - zeta > 0).astype(jnp.float32)
        value = hand_values(model, jnp.stack([first, second], axis=1), logits, x)
        difference = jax.lax.stop_gradient(value[:, 0] - value[:, 1])[:, None]
        g = difference * weight(first, second, zeta, frozen)
        return (value.mean(axis=1) + jnp.sum(g * logits, axis=-1)).mean()

    return jax.grad(loss)(model), jax.tree.map(jnp.zeros_like, cv)


def hand_and_noise(key, logits):
    hard, zeta = hard_and_soft(key, logits)
    return hard, zeta - logits


def hand_arm(model, cv, x, key):
    def weight(first, second, noise, logits):
        return jax.nn.sigmoid(noise) - 0.5

    return hand_pairs(model, cv, x, key, weight)


def hand_disarm(model, cv, x, key):
    def weight(first, second, noise, logits):
        return 0.5 * (first - second) * jax.nn.sigmoid(jnp.abs(logits))

    return hand_pairs(model, cv, x, key, weight)


def hand_reinmax(model, cv, x, key):
    def loss(model):
        logits = encode(model, x)
        z, p = hand_samples(key, logits, 1)
        z = z[:, 0]
        slope = jnp.where(z > 0, 1.0 - p, p) / 2.0
        moving = slope * (logits - jax.lax.stop_gradient(logits))
        return negative_elbo(model, z + moving, logits, x).mean()

    return jax.grad(loss)(model), jax.tree.map(jnp.zeros_like, cv)


BY_HAND = {
    "mean field": hand_mean_field,
    "reinforce": hand_reinforce,
    "rebar": hand_rebar,
    "relax": hand_relax,
    "leave-one-out, 4": hand_leave_one_out,
    "arm": hand_arm,
    "disarm": hand_disarm,
    "reinmax": hand_reinmax,
    "vimco, 4": hand_vimco,
}
