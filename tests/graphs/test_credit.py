"""From costs to signals."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.graphs.credit import discounts
from jaxdiscrete.graphs.off_policy import credit_per_weight

COSTS = jnp.array([1.0, 0.0, 2.0])


def test_cost_to_go():
    np.testing.assert_allclose(jd.cost_to_go(COSTS), [3.0, 2.0, 2.0])


def test_whole_sequence():
    np.testing.assert_allclose(jd.whole_sequence(COSTS), [3.0, 3.0, 3.0])


def test_discounts():
    np.testing.assert_allclose(discounts(0.5, 3, jnp.float32), [1.0, 0.5, 0.25])


def test_credit_of_weighted_costs_is_the_recursion_of_per_decision_weights():
    """G_s = c_s + rho_(s+1) G_(s+1), also where a ratio is zero."""
    for ratios in (jnp.array([0.5, 2.0, 3.0]), jnp.array([0.5, 0.0, 3.0])):
        weights = jd.per_decision_weights(ratios)
        credit = credit_per_weight(jd.cost_to_go(weights * COSTS), weights)
        expected = [COSTS[2]]
        for t in (1, 0):
            expected.append(COSTS[t] + ratios[t + 1] * expected[-1])
        counts = weights > 0
        np.testing.assert_allclose(credit[counts], jnp.array(expected[::-1])[counts])
        assert np.all(np.isfinite(credit))


def test_a_weight_of_zero_before_others_gives_no_numbers():
    weights = jnp.array([1.0, 0.0, 3.0])
    credit = credit_per_weight(jd.cost_to_go(weights * COSTS), weights)
    np.testing.assert_array_equal(np.isnan(credit), [False, True, False])


def test_the_weights_of_a_discount_have_derivatives_at_zero():
    def total(discount):
        return (discounts(discount, 3, jnp.float32) * jnp.array([5.0, 7.0, 9.0])).sum()

    value, slope = jax.value_and_grad(total)(0.0)
    assert (value, slope) == (5.0, 7.0)
    assert total(0.5) == 5.0 + 3.5 + 2.25
