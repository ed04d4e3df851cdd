"""ARSM: what it reduces to, and what it calls."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.coupled.problems import KEY, of_bits
from tests.helpers.trees import assert_close


def test_two_classes_of_arsm_are_arm():
    logits = jnp.array([[0.3, -0.2], [0.0, 1.0], [2.0, 0.5]])
    q = jd.OneHotCategorical(logits)
    f = lambda z: of_bits(z[:, 0])  # noqa: E731
    estimate = jd.arsm(lambda z: (f(z), z), has_aux=True)
    keys = jax.random.split(KEY, 20)
    estimate = jax.vmap(jax.grad(estimate, 1, has_aux=True), (0, None))
    gradient, z = jax.jit(estimate)(keys, q)
    noise = jax.jit(jax.vmap(lambda k: jd.noise.sample_exponential(k, (3, 2))))(keys)
    u = noise[..., 1] / noise.sum(axis=-1)
    p = jax.nn.sigmoid(logits[:, 0] - logits[:, 1])[None]
    assert bool(jnp.all((z[:, 0, :, 0] > 0) == (u > 1.0 - p)))
    assert bool(jnp.all((z[:, 1, :, 0] > 0) == (u < p)))
    values = jax.jit(jax.vmap(jax.vmap(f)))(z)
    expected = (values[:, :1] - values[:, 1:]) * (u - 0.5)
    assert bool(jnp.any(expected != 0))
    assert_close(gradient.logits, jnp.stack([expected, -expected], axis=-1))


@pytest.mark.parametrize(("num_classes", "calls"), [(1, 1), (2, 2), (4, 7), (6, 16)])
def test_arsm_calls_f_once_for_every_different_swap(num_classes, calls):
    q = jd.OneHotCategorical(jnp.zeros((2, num_classes)))
    estimate = jd.arsm(lambda z: (jnp.sum(z), z), has_aux=True)
    _, z = jax.eval_shape(estimate, KEY, q)
    assert z.shape == (calls, 2, num_classes)


def test_arsm_needs_one_number_of_classes():
    q = {n: jd.OneHotCategorical(jnp.zeros((2, n))) for n in (3, 4)}
    match = r"one number of classes in all .*got 3 and 4\. Mask .*jaxdiscrete\.carms"
    with pytest.raises(ValueError, match=match):
        jd.arsm(lambda z: jnp.sum(z[3]))(KEY, q)
