"""RELAX: what it reduces to, what its critic sees, and what trains it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased, exact_gradient, map_in_chunks
from tests.helpers.trees import assert_close, flat_rows
from tests.score_function.problems import KEY, WEIGHTS, Q, every_sample, f

BITS = Q["bits"]
both_noises = pytest.mark.parametrize(
    "noise", daily([jd.tied_noise], [jd.tied_noise, jd.independent_noise])
)


def critic(z):
    total = jnp.sum(z["bits"]) + jnp.dot(z["classes"], WEIGHTS[::-1])
    return 2.0 * jnp.tanh(total) + total


def nothing(z):
    return 0.0 * critic(z)


@pytest.mark.thorough
@both_noises
def test_rebar_and_relax_are_parts_of_relax_rebar(noise):
    options = {"temperature": 0.6, "conditional_noise": noise}

    def at_the_same_sample(key, q):
        _, z = jd.relax(lambda z: (f(z), z), nothing, has_aux=True, **options)(key, q)
        return jd.given(jd.reinforce(f), z)(key, q)

    @jax.jit
    def gradients():
        return [
            jax.grad(estimate, 1)(KEY, Q)
            for estimate in (
                jd.relax(f, f, **options),
                jd.relax_rebar(f, nothing, **options),
                jd.rebar(f, **options),
                jd.relax_rebar(f, critic, scale=0.0, **options),
                jd.relax(f, critic, **options),
                jd.relax(f, nothing, **options),
                at_the_same_sample,
            )
        ]

    of_f, without_critic, rebar, without_f, relax, of_nothing, reinforce = gradients()
    assert_close(of_f, rebar)
    assert_close(without_critic, rebar)
    assert_close(without_f, relax)
    assert_close(of_nothing, reinforce)


@both_noises
def test_a_black_box_and_any_critic_are_unbiased(noise):
    """Every sample has its probability, and only the noise given it is drawn."""

    def black_box(z):
        is_second = z["classes"][1] > 0.5
        other = 2.0 * z["bits"][0] + 4.0 * z["classes"][2]
        far = jnp.where(jnp.sum(z["bits"]) > 0.5, 4.0, 1.0)
        return far + jnp.where(is_second, -3.0, other)

    estimate = jd.relax(black_box, critic, temperature=0.6, conditional_noise=noise)
    samples, p = every_sample()

    def mean(key):
        at = jax.vmap(lambda z: jax.grad(jd.given(estimate, z), 1)(key, Q))(samples)
        return jax.tree.map(lambda g: jnp.tensordot(jnp.float32(p), g, 1), at)

    means = map_in_chunks(mean, jax.random.split(KEY, 40_000))
    assert_unbiased(flat_rows(means), exact_gradient(black_box, Q))


def test_the_critic_reads_its_arguments_stopped():
    def loss(t):
        estimate = jd.relax(
            lambda z, t: (f(z, t), z),
            lambda z, t: t**2 * critic(z),
            temperature=0.6,
            has_aux=True,
        )
        return estimate(KEY, Q, t)

    to_t, z = jax.jit(jax.grad(loss, has_aux=True))(2.0)
    np.testing.assert_allclose(to_t, f(z), rtol=1e-6)


@pytest.mark.thorough
def test_a_trained_critic_takes_variance():
    """By the gradient that it gets beside the model; f has no derivative at all."""
    weights = jnp.zeros(4)

    def black_box(z):
        return jnp.where(jnp.sum(z) > 0.5, 3.0, -1.0)

    def gradient(weights, key):
        def loss(weights, q):
            features = lambda z: jnp.array([1.0, z[0], z[1], z[0] * z[1]])  # noqa: E731
            learned = lambda z: jnp.dot(weights, features(z))  # noqa: E731
            return jd.relax(black_box, learned, temperature=0.5)(key, q)

        return jax.grad(loss, (0, 1))(weights, BITS)

    many = jax.vmap(gradient, (None, 0))

    def step(weights, key):
        slopes, _ = many(weights, jax.random.split(key, 64))
        return weights - 0.1 * slopes.mean(axis=0), None

    @jax.jit
    def train_and_measure(weights):
        keys = jax.random.split(KEY, 300)
        trained, _ = jax.lax.scan(step, weights, keys)
        fresh = jax.random.split(jax.random.key(1), 10_000)
        return [
            jnp.sum(jnp.var(many(w, fresh)[1].logits, axis=0))
            for w in (weights, trained)
        ]

    before, after = train_and_measure(weights)
    assert after < 0.5 * before


def test_a_critic_returns_one_scalar_with_a_derivative(no_compute):
    with pytest.raises(ValueError, match="critic to return one real scalar, got sh"):
        jd.relax(jnp.sum, lambda z: z, temperature=1.0)(KEY, BITS)
    rounded = lambda z: jnp.sum(jnp.round(z))  # noqa: E731
    with pytest.raises(TypeError, match=r"critic of jaxdiscrete\.relax to be diff"):
        jd.relax(jnp.sum, rounded, temperature=1.0)(KEY, BITS)
    with pytest.raises(TypeError, match=r"critic of jaxdiscrete\.relax_rebar to be d"):
        jd.relax_rebar(jnp.sum, rounded, temperature=1.0)(KEY, BITS)


@pytest.mark.parametrize("transform", [jd.relax, jd.relax_rebar])
def test_arguments_of_a_critic_that_hide_arrays_are_refused(transform):
    match = r"critic reads them stopped, got function, which may hide arrays"
    hidden = lambda z: jnp.sum(z)  # noqa: E731
    estimate = transform(lambda z, h: h(z), lambda z, h: h(z), temperature=1.0)
    with pytest.raises(TypeError, match=match):
        estimate(KEY, BITS, hidden)
    visible = jax.tree_util.Partial(hidden)
    assert bool(jnp.isfinite(jax.jit(estimate)(KEY, BITS, visible)))
