"""Comparisons and flat views of pytrees."""

import jax
import jax.numpy as jnp
import numpy as np


def flat_rows(tree):
    """The leaves of a batched pytree as one ``[n, coordinates]`` array."""
    leaves = jax.tree.leaves(tree)
    return np.concatenate(
        [np.asarray(x, np.float64).reshape(len(x), -1) for x in leaves], axis=1
    )


def flat(tree):
    """The leaves of a pytree as one vector."""
    return np.concatenate(
        [np.asarray(x, np.float64).reshape(-1) for x in jax.tree.leaves(tree)]
    )


def assert_close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(
            np.asarray(x, np.float64), np.asarray(y, np.float64), rtol=rtol, atol=atol
        ),
        a,
        b,
    )


def all_finite(tree):
    return all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(tree))
