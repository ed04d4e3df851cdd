"""A problem of twelve joint samples, and estimates at every one of them."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from tests.helpers.trees import flat_rows

KEY = jax.random.key(0)
Q = {
    "bits": jd.Bernoulli(jnp.array([0.3, -0.8])),
    "classes": jd.OneHotCategorical(jnp.array([0.4, -0.5, 0.1])),
}
WEIGHTS = jnp.array([2.0, -3.0, 1.0])


def f(z, t=1.0):
    linear = jnp.dot(z["bits"], WEIGHTS[:2]) + jnp.dot(z["classes"], WEIGHTS)
    return t * (linear + z["bits"][0] * z["classes"][1] ** 2 - 0.5)


def every_sample(q=Q):
    """The joint samples, a batch of them, and their probabilities."""
    bits, classes = (q[name].enumerate_support() for name in ("bits", "classes"))
    z = {
        "bits": jnp.repeat(bits, len(classes), axis=0),
        "classes": jnp.tile(classes, (len(bits), 1)),
    }
    log_p = jax.vmap(q["bits"].log_prob)(z["bits"]).sum(axis=1)
    log_p += jax.vmap(q["classes"].log_prob)(z["classes"])
    return z, np.exp(np.asarray(log_p, np.float64))


def gradients_at_every_sample(estimate, *args, key=KEY):
    """``[samples, coordinates]``, of an estimate of one sample."""
    z, _ = every_sample()

    def at(z):
        return jax.grad(jd.given(estimate, z), argnums=1)(key, Q, *args)

    return flat_rows(jax.jit(jax.vmap(at))(z))
