"""The protocols: who has them, and that they are all that is needed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_gradient_unbiased, exact_gradient


def test_protocols_recognise_what_they_should():
    q = jd.Bernoulli(jnp.zeros(2))
    assert isinstance(q, jd.Sampler)
    assert isinstance(q, jd.Relaxable)
    assert isinstance(jd.OneHotCategorical(jnp.zeros(2)), jd.Relaxable)
    assert not isinstance(jnp.zeros(2), jd.Sampler)


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

    @property
    def num_classes(self):
        return 2

    def log_probabilities(self):
        return self.bits.log_probabilities()

    def from_classes(self, classes):
        return 2.0 * classes.astype(jnp.result_type(self.field)) - 1.0

    def to_classes(self, z):
        return (z > 0).astype(jnp.int32)


def spin_f(z):
    return jnp.dot(z, jnp.array([3.0, -2.0])) + z[0] * z[1] ** 3


SPINS = {
    "reinforce_loo": jd.reinforce_loo(spin_f, num_samples=2),
    "muprop": jd.muprop(spin_f),
    "muprop_second_order": jd.muprop_second_order(spin_f),
    "rebar": jd.rebar(spin_f, temperature=0.5, scale=jnp.array(0.8)),
    "rebar_independent": jd.rebar(
        spin_f, temperature=0.5, scale=0.8, conditional_noise=jd.independent_noise
    ),
    "relax": jd.relax(spin_f, lambda z: jnp.sum(z**3), temperature=0.5),
    "double_cv": jd.double_cv(spin_f, num_samples=2, scale=0.5),
    "rodeo": jd.rodeo(spin_f, lambda v, c: 0.3 * (v + c), num_samples=2),
    "local_expectation": jd.local_expectation(spin_f),
    "measure_valued": jd.measure_valued(spin_f),
    "unordered_set": jd.unordered_set(spin_f, num_samples=2),
    "sum_and_sample": jd.sum_and_sample(spin_f, num_samples=2),
    "partial_enumeration": jd.partial_enumeration(spin_f, num_states=1),
    "arm": jd.arm(spin_f),
    "disarm": jd.disarm(spin_f),
    "arms": jd.arms(spin_f, num_samples=3),
    "carms": jd.carms(spin_f, num_samples=3),
    "disarm_stick_breaking": jd.disarm_stick_breaking(spin_f),
    "arsm": jd.arsm(spin_f),
}


#: One for each group of operations that estimators need.
DAILY = {"rebar_independent", "carms"}


@pytest.mark.parametrize("name", daily(DAILY, SPINS))
def test_a_distribution_of_ones_own_gets_every_estimator(name):
    """Spins in {-1, 1}: the operations of the protocols are all that is needed."""
    q = Spin(jnp.array([0.3, -0.5]))
    assert_gradient_unbiased(SPINS[name], q, expected=exact_gradient(spin_f, q))


@pytest.mark.parametrize(
    "transform", daily([jd.reinmax], [jd.reinmax, jd.half_estimator])
)
def test_second_order_is_exact_for_quadratics_of_ones_own(transform):
    def quadratic(z):
        return jnp.dot(z, jnp.array([3.0, -2.0])) + 1.5 * z[0] * z[1]

    q = Spin(jnp.array([0.3, -0.5]))
    expected = exact_gradient(quadratic, q)
    assert_gradient_unbiased(transform(quadratic), q, expected=expected)


def test_the_gap_of_ones_own_distribution_is_that_of_its_bits():
    def gradient(q, f):
        estimate = jd.gapped_straight_through(f, temperature=0.7)
        return jax.grad(estimate, argnums=1)(jax.random.key(1), q)

    field = jnp.array([0.3, -0.5])

    @jax.jit
    def both(field):
        bits = jd.Bernoulli(2.0 * field)
        of_bits = gradient(bits, lambda z: spin_f(2.0 * z - 1.0))
        return gradient(Spin(field), spin_f).field, of_bits.logits

    spins, bits = both(field)
    np.testing.assert_allclose(spins, 2.0 * bits, rtol=1e-5)
