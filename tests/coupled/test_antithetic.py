"""ARM and DisARM."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.coupled.problems import BITS, KEY, of_bits
from tests.helpers.parameters import daily
from tests.helpers.statistics import (
    K_SIGMA,
    assert_less_variance,
    map_in_chunks,
)
from tests.helpers.trees import flat_rows

PROBLEMS = {
    "linear": lambda z: jnp.dot(z, jnp.array([3.0, -3.0, 4.0])),
    "quadratic": of_bits,
    "far from linear": lambda z: jnp.sin(5.0 * jnp.sum(z)) + jnp.prod(z),
}


@pytest.mark.parametrize("name", daily(["quadratic"], PROBLEMS))
def test_disarm_is_arm_with_its_noise_integrated_out(name):
    """So that their difference has no correlation with it, and is all variance."""
    f = PROBLEMS[name]

    def both(key):
        return jax.grad(jd.arm(f), 1)(key, BITS), jax.grad(jd.disarm(f), 1)(key, BITS)

    arm, disarm = map_in_chunks(both, jax.random.split(KEY, 200_000))
    arm, disarm = flat_rows(arm), flat_rows(disarm)
    product = (arm - disarm) * disarm
    se = product.std(axis=0) / np.sqrt(len(product))
    assert np.all(np.abs(product.mean(axis=0)) < K_SIGMA * se)
    assert_less_variance(disarm, arm)
