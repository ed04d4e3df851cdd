"""The protocols: who has them, and that they are all that is needed."""

import jax
import jax.numpy as jnp

import jaxdiscrete as jd


def test_protocols_recognise_what_they_should():
    q = jd.Bernoulli(jnp.zeros(2))
    assert isinstance(q, jd.Sampler)
    assert isinstance(q, jd.Relaxable)
    assert isinstance(jd.OneHotCategorical(jnp.zeros(2)), jd.Relaxable)
    assert not isinstance(jnp.zeros(2), jd.Sampler)


def test_a_distribution_of_ones_own_gets_every_estimator():
    """Spins in {-1, 1}: the operations of the protocol are all that is needed."""
    import dataclasses

    from tests.helpers.statistics import (
        assert_unbiased,
        exact_gradient,
        gradient_samples,
    )

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Spin:
        field: jax.Array

        @property
        def bits(self):
            return jd.Bernoulli(2.0 * self.field)

        @property
        def batch_shape(self):
            return jnp.shape(self.field)

        @property
        def num_states(self):
            return self.bits.num_states

        def sample(self, key):
            return 2.0 * self.bits.sample(key) - 1.0

        def log_prob(self, z):
            return self.bits.log_prob((z + 1.0) / 2.0)

        def mean(self):
            return jnp.tanh(self.field)

        def location(self):
            return self.bits.location()

        def relaxed_sample(self, key):
            return self.bits.relaxed_sample(key)

        def threshold(self, zeta):
            return jnp.sign(zeta)

        def conditional_relaxed_sample(self, key, z):
            return self.bits.conditional_relaxed_sample(key, (z + 1.0) / 2.0)

        def coupled_conditional(self, zeta, z):
            return self.bits.coupled_conditional(zeta, (z + 1.0) / 2.0)

        def relax(self, zeta, temperature):
            return 2.0 * self.bits.relax(zeta, temperature) - 1.0

        def enumerate_support(self):
            return 2.0 * self.bits.enumerate_support() - 1.0

    q = Spin(jnp.array([0.3, -0.5]))
    f = lambda z: jnp.dot(z, jnp.array([3.0, -2.0])) + z[0] * z[1] ** 3  # noqa: E731
    for estimate in (
        jd.reinforce_loo(f, num_samples=2),
        jd.muprop(f),
        jd.rebar(f, temperature=0.5, scale=jnp.array(0.8)),
        jd.rebar(f, temperature=0.5, scale=0.8, conditional_noise=jd.independent_noise),
        jd.relax(f, lambda z: jnp.sum(z**3), temperature=0.5),
    ):
        assert_unbiased(gradient_samples(estimate, q), exact_gradient(f, q))
