"""Keys other than the default: unbiased as well, and what vmap does to them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.statistics import (
    K_SIGMA,
    assert_unbiased,
    exact_gradient,
    map_in_chunks,
)
from tests.helpers.trees import assert_close, flat_rows

IMPLEMENTATIONS = ["rbg", "unsafe_rbg"]
one_kind = pytest.mark.parametrize("impl", daily(["rbg"], IMPLEMENTATIONS))
BITS = jd.Bernoulli(jnp.array([0.4, -0.8, 1.0]))
CLASSES = jd.OneHotCategorical(jnp.array([[0.5, -0.2, 0.0], [0.0, 0.5, -jnp.inf]]))
Q = {"a": BITS, "b": CLASSES}


def f(z):
    weights = jnp.array([[-4.0, 4.0, 3.0], [-3.0, 3.0, 0.0]])
    linear = jnp.dot(z["a"], jnp.array([3.0, -3.0, 4.0])) + jnp.sum(weights * z["b"])
    return linear + z["a"][0] * z["b"][0, 1] - 2.5


ESTIMATES = {
    "reinforce_loo": jd.reinforce_loo(f, num_samples=3),
    "reinforce_loo_in_chunks": jd.reinforce_loo(f, num_samples=4, chunk_size=2),
    "rebar": jd.rebar(f, temperature=0.6, scale=0.8),
    "rebar_independent": jd.rebar(
        f, temperature=0.6, scale=0.8, conditional_noise=jd.independent_noise
    ),
}

#: Keys are split, and what is split in chunks.
DAILY = {("reinforce_loo_in_chunks", "unsafe_rbg")}


def keys_of(impl, num, seed=0):
    return jax.random.split(jax.random.key(seed, impl=impl), num)


@pytest.mark.parametrize(
    ("name", "impl"),
    daily(DAILY, list(itertools.product(ESTIMATES, IMPLEMENTATIONS))),
)
def test_gradient_is_unbiased(name, impl):
    gradient = jax.grad(ESTIMATES[name], argnums=1)
    samples = map_in_chunks(lambda key: gradient(key, Q), keys_of(impl, 100_000))
    assert_unbiased(flat_rows(samples), exact_gradient(f, Q))


@pytest.mark.thorough
@one_kind
def test_gradient_is_unbiased_one_key_at_a_time(impl):
    """In a loop every key has a stream of its own, and streams do not overlap."""
    gradient = jax.grad(jd.reinforce_loo(f, num_samples=50), argnums=1)
    keys = keys_of(impl, 5_000)
    samples = jax.jit(lambda: jax.lax.map(lambda k: gradient(k, Q), keys))()
    assert_unbiased(flat_rows(samples), exact_gradient(f, Q))


@one_kind
def test_samples_have_their_probabilities(impl):
    keys = keys_of(impl, 200_000)
    bits = np.asarray(jax.jit(jax.vmap(BITS.sample))(keys))
    assert_unbiased(bits, BITS.mean())
    joint = np.einsum("ni,nj->nij", bits, bits)[:, [0, 0, 1], [1, 2, 2]]
    means = np.asarray(BITS.mean())
    assert_unbiased(joint, means[[0, 0, 1]] * means[[1, 2, 2]])
    classes = jax.jit(jax.vmap(CLASSES.sample))(keys)
    assert_unbiased(flat_rows(classes), CLASSES.mean().reshape(-1))


@one_kind
def test_noise_has_its_moments(impl):
    key = jax.random.key(3, impl=impl)
    size = 1_000_000
    for draw, mean, variance in (
        (jd.noise.sample_gumbel, np.euler_gamma, np.pi**2 / 6),
        (jd.noise.sample_logistic, 0.0, np.pi**2 / 3),
        (jd.noise.sample_exponential, 1.0, 1.0),
    ):
        noise = draw(key, (size,))
        assert noise.dtype == jnp.float32
        assert bool(jnp.all(jnp.isfinite(noise)))
        noise = np.asarray(noise, np.float64)
        assert abs(noise.mean() - mean) < K_SIGMA * np.sqrt(variance / size)
        squares = (noise - mean) ** 2
        error = squares.mean() - variance
        assert abs(error) < K_SIGMA * squares.std() / np.sqrt(size)


@one_kind
def test_conditional_noise_belongs_to_its_sample(impl):
    key_z, key_noise = keys_of(impl, 2)

    @jax.jit
    def sample_and_threshold(q):
        z = q.sample(key_z)
        return z, q.threshold(q.conditional_relaxed_sample(key_noise, z))

    for q in (BITS, CLASSES):
        assert_close(*sample_and_threshold(q))


@pytest.mark.parametrize(
    ("name", "impl"),
    daily(
        [("reinforce_loo_in_chunks", "unsafe_rbg"), ("rebar_independent", "rbg")],
        list(
            itertools.product(
                ["reinforce_loo_in_chunks", "rebar_independent"], IMPLEMENTATIONS
            )
        ),
    ),
)
def test_same_key_same_value_and_gradient(name, impl):
    key, other = keys_of(impl, 2)
    gradient = jax.jit(jax.value_and_grad(ESTIMATES[name], argnums=1))
    value, to_q = gradient(key, Q)
    assert_close(gradient(key, Q), (value, to_q), rtol=0, atol=0)
    assert gradient(other, Q)[0] != value
    assert all(g.dtype == jnp.float32 for g in jax.tree.leaves(to_q))


@one_kind
def test_gradient_has_the_dtype_of_its_parameters(impl):
    q = jax.tree.map(lambda x: x.astype(jnp.bfloat16), Q)
    half = lambda z: jnp.sum(z["a"]) + jnp.sum(z["b"][0])  # noqa: E731
    estimate = jd.rebar(half, temperature=0.6, scale=0.8)
    gradient = jax.jit(jax.grad(estimate, argnums=1))(jax.random.key(0, impl=impl), q)
    assert all(g.dtype == jnp.bfloat16 for g in jax.tree.leaves(gradient))


@one_kind
def test_vmap_over_keys_draws_from_the_first_key(impl):
    """JAX's own behaviour: if it changes, docs/keys.md must."""
    keys, others = keys_of(impl, 4), keys_of(impl, 4, seed=1)
    q = jd.Bernoulli(jnp.zeros(50))
    mapped = jax.vmap(q.sample)(keys)
    loop = [q.sample(k) for k in keys]
    assert_close(mapped[0], loop[0])
    assert all(bool(jnp.any(a != b)) for a, b in zip(mapped[1:], loop[1:], strict=True))
    same_first = jnp.concatenate([keys[:1], others[1:]])
    assert_close(jax.vmap(q.sample)(same_first), mapped)
    assert_close(jax.lax.map(q.sample, keys), jnp.stack(loop))


def test_vmap_over_default_keys_is_the_loop():
    keys = keys_of("threefry2x32", 4)
    q = jd.Bernoulli(jnp.zeros(50))
    assert_close(jax.vmap(q.sample)(keys), jnp.stack([q.sample(k) for k in keys]))


@one_kind
def test_value_and_gradient_under_vmap_belong_to_one_sample(impl):
    """Whatever noise vmap draws, it is drawn once."""
    weights = jnp.array([3.0, -2.0, 1.0])
    estimate = jd.reinforce(lambda z: jnp.dot(z, weights))
    keys = keys_of(impl, 6)
    both = jax.jit(jax.vmap(jax.value_and_grad(estimate, 1), (0, None)))
    value, gradient = both(keys, BITS)
    # value * (z - mean) gives z back.
    scores = gradient.logits / value[:, None] + BITS.mean()[None]
    is_nonzero = np.asarray(value) != 0
    z = np.asarray(scores)[is_nonzero]
    assert_close(z, z.round(), atol=1e-5)
    assert_close(z @ np.asarray(weights), value[is_nonzero], rtol=1e-4)
