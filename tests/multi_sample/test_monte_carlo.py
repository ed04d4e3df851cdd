"""Means of estimates: the law of their variance, chunks and memory."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.helpers.memory import temporary_bytes
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close
from tests.multi_sample.problems import KEY, Q, f, variance


def relative_error_of_a_variance(num=200_000):
    """Five standard errors of a variance estimated from num draws, kurtosis 10."""
    return 5.0 * (9.0 / num) ** 0.5


@pytest.mark.parametrize("num_samples", daily([5], [2, 5]))
def test_variance_of_the_mean_falls_as_one_over_m(num_samples):
    one = jd.reinforce(f)
    many = jd.monte_carlo(one, num_repeats=num_samples)
    ratio = variance(one) / variance(many)
    assert abs(ratio / num_samples - 1.0) < 2 * relative_error_of_a_variance()


@pytest.mark.parametrize("chunk_size", daily([3], [1, 3, 8, 100]))
def test_chunks_give_the_same_gradient(chunk_size):
    cv = {"t": jnp.array(0.5), "s": jnp.array(0.9)}

    def loss(q, cv, chunk_size):
        one = jd.rebar(f, temperature=cv["t"], scale=cv["s"])
        many = jd.monte_carlo(one, num_repeats=8, chunk_size=chunk_size)
        return many(KEY, q)

    both = jax.jit(jax.value_and_grad(loss, (0, 1)), static_argnums=2)
    assert_close(both(Q, cv, chunk_size), both(Q, cv, None), rtol=1e-4)


def test_chunked_samples_need_the_memory_of_one_chunk():
    """By the compiled program's own account, not by a clock."""
    weights = jnp.ones((256, 512))
    q = jd.Bernoulli(jnp.zeros(256))

    def g(z, w):
        return jnp.sum(jnp.sin(jnp.tanh(z @ w) * 2.0))

    def step(num_samples, chunk_size):
        estimate = jd.monte_carlo(
            jd.reinforce(g), num_repeats=num_samples, chunk_size=chunk_size
        )
        gradient = jax.grad(lambda q, w: estimate(KEY, q, w), argnums=(0, 1))
        return temporary_bytes(gradient, q, weights)

    all_at_once = step(1024, None)
    chunked, fewer = step(1024, 64), step(256, 64)
    assert chunked < all_at_once / 3
    assert chunked < 1.2 * fewer + 2**17


def test_number_of_samples_is_a_static_integer():
    with pytest.raises(TypeError, match="to be a Python int, got float"):
        jd.reinforce_loo(jnp.sum, num_samples=2.0)
    with pytest.raises(
        ValueError, match=r"num_repeats >= 1 in jaxdiscrete\.monte_carlo"
    ):
        jd.monte_carlo(jd.reinforce(jnp.sum), num_repeats=0)
    with pytest.raises(
        ValueError, match=r"num_repeats >= 1 in jaxdiscrete\.monte_carlo"
    ):
        jd.monte_carlo(jd.reinforce(jnp.sum), num_repeats=-1, chunk_size=4)
    with pytest.raises(ValueError, match=r"chunk_size >= 1 in jaxdiscrete"):
        jd.monte_carlo(jd.reinforce(jnp.sum), num_repeats=4, chunk_size=0)
