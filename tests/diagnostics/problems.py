"""One objective and how the tests measure it."""

import jax
import jax.numpy as jnp

import jaxdiscrete as jd

KEY = jax.random.key(11)
Q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))


def cubic(z, t=1.0):
    return t * (jnp.dot(z, jnp.array([1.0, -2.0, 1.5])) + z[0] * z[1] * z[2] ** 3)


def loo(f, num_samples=3):
    return jd.reinforce_loo(f, num_samples=num_samples)


def rebar(f):
    return jd.rebar(f, temperature=0.5, scale=jnp.array(0.8))


def measure(estimators, q=Q, *args, f=cubic, num_gradients=200, **options):
    return jd.measure(
        estimators, KEY, q, *args, f=f, num_gradients=num_gradients, **options
    )
