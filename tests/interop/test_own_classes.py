"""Distributions of a user's own class as samplers."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.helpers.trees import assert_close

pytestmark = pytest.mark.usefixtures("their_own_promotion")
KEY = jax.random.key(3)
LOGITS = jnp.array([0.8, -0.6, 0.3])
WEIGHTS = jnp.array([3.0, -2.0, 1.0])


class Coin:
    """A fair coin whose sample takes its key as a subclass says."""

    batch_shape = ()

    def log_prob(self, value):
        return jnp.log(0.5)


class KeyFirst(Coin):
    def sample(self, k, sample_shape=()):
        return jax.random.bernoulli(k, shape=sample_shape)


class Named(Coin):
    def sample(self, sample_shape=(), *, rng_key):
        return jax.random.bernoulli(rng_key, shape=sample_shape)


class Seeded(Coin):
    def sample(self, sample_shape=(), seed=None, name="sample", **kwargs):
        return jax.random.bernoulli(seed, shape=sample_shape)


class Flaxen(Coin):
    def sample(self, *, rng):
        return jax.random.bernoulli(rng)


@pytest.mark.parametrize("cls", [KeyFirst, Named, Seeded, Flaxen])
def test_a_key_is_found_by_position_or_name(cls):
    q = jd.as_sampler(cls())
    assert q.sample(KEY) == jax.random.bernoulli(KEY)
    value = jd.reinforce_loo(lambda z: z * 1.0, num_samples=3)(KEY, q)
    assert 0.0 <= value <= 1.0


def test_what_is_no_distribution_is_named():
    class Keyless(Coin):
        def sample(self, *, sample_shape=()):
            return jnp.zeros(sample_shape)

    match = r"distribution with sample and log_prob in jaxdiscrete\.as_sampler, got "
    for bad in (LOGITS, Coin(), Seeded, "Bernoulli"):
        with pytest.raises(TypeError, match=match):
            jd.as_sampler(bad)
    with pytest.raises(TypeError, match=r"takes a PRNG key, .* got Keyless\. Write a"):
        jd.as_sampler(Keyless())
    with pytest.raises(TypeError, match=r"as_sampler"):
        jd.reinforce(lambda z: 0.0)(KEY, Keyless())


def test_samplers_of_the_library_are_returned_unchanged():
    q = jd.Bernoulli(LOGITS)
    assert jd.as_sampler(q) is q
    wrapped = jd.as_sampler(Seeded())
    assert jd.as_sampler(wrapped) is wrapped


def test_an_object_that_jax_cannot_look_into_is_closed_over():
    """Parameters of a plain class get their gradient through log_prob."""

    class Opaque:
        def __init__(self, logits):
            self.logits = logits

        def sample(self, *, seed):
            return jd.Bernoulli(self.logits).sample(seed)

        def log_prob(self, value):
            return jd.Bernoulli(self.logits).log_prob(value)

    def loss(logits, wrap):
        return jd.reinforce_loo(lambda z: jnp.dot(z, WEIGHTS), num_samples=4)(
            KEY, wrap(logits)
        )

    gradient = jax.grad(loss)(LOGITS, lambda x: jd.as_sampler(Opaque(x)))
    assert_close(gradient, jax.grad(loss)(LOGITS, jd.Bernoulli))
