"""DisARM by stick breaking."""

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.coupled.antithetic import disarm_gradient
from tests.coupled.problems import KEY, of_bits
from tests.helpers.trees import assert_close


def test_two_classes_of_stick_breaking_are_disarm():
    logits = jnp.array([[0.3, -0.2], [0.0, 1.0], [2.0, 0.5]])
    q = jd.OneHotCategorical(logits)
    bits = jd.Bernoulli(logits[:, 0] - logits[:, 1])
    f = lambda z: of_bits(z[:, 0])  # noqa: E731
    estimate = jd.disarm_stick_breaking(lambda z: (f(z), z), has_aux=True)
    gradient = jax.jit(jax.vmap(jax.grad(estimate, 1, has_aux=True), (0, None)))
    ours, z = gradient(jax.random.split(KEY, 20), q)
    theirs = jax.jit(
        jax.vmap(
            lambda pair: disarm_gradient(bits, pair[..., 0], jax.vmap(f)(pair)).logits
        )
    )(z)
    assert bool(jnp.any(theirs != 0))
    assert_close(ours.logits, jnp.stack([theirs, -theirs], axis=-1))
