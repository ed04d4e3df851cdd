"""MuProp: what its expansions leave."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.trees import flat_rows
from tests.multi_sample.problems import KEY, Q


@pytest.mark.thorough
def test_second_order_muprop_has_no_variance_for_quadratics():
    q = {
        "a": Q,
        "b": jd.OneHotCategorical(jnp.array([[0.3, -0.2, 0.5], [1.0, 0.0, 0.0]])),
    }

    def quadratic(z):
        x = jnp.concatenate([z["a"], z["b"].reshape(-1)])
        return jnp.sum(jnp.outer(x, x) * jnp.sin(jnp.arange(81.0).reshape(9, 9)))

    gradient = jax.grad(jd.muprop_second_order(quadratic), 1)
    keys = jax.random.split(KEY, 100)
    samples = flat_rows(jax.jit(jax.vmap(lambda k: gradient(k, q)))(keys))
    exact = flat_rows(
        jax.tree.map(
            lambda x: x[None], jax.jit(jax.grad(jd.exact(quadratic), 1))(KEY, q)
        )
    )
    np.testing.assert_allclose(samples, np.repeat(exact, 100, axis=0), atol=1e-4)
