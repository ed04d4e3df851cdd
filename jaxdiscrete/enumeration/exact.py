"""The exact expectation, by enumeration of every joint state."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.checks import check_latents, check_objective
from jaxdiscrete.core.latents import freeze, is_sampler, latents, log_prob
from jaxdiscrete.core.typing import Estimator, Objective, PyTree


def exact(f: Objective, *, max_states: int = 2**16) -> Estimator:
    r"""The expectation itself, by enumeration; the oracle of every estimator.

    :math:`\sum_z q_\phi(z) f(z)`. Exact, differentiable in forward and reverse mode
    to any order. One call of ``f`` a joint state, vmapped; f need not be
    differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      max_states: the largest number of joint states to enumerate. Default: 65536.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the expectation; any key will do, its
      value is not used.

    Raises:
      ValueError: when called, if q has more than ``max_states`` joint states.
      TypeError: when called, if f does not return one real scalar, or if q cannot be
        enumerated.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.exact(lambda z: z.sum() ** 2)
      >>> key = jax.random.key(0)
      >>> print(estimate(key, q), jax.grad(estimate, 1)(key, q).logits)
      3.0 [0.75 0.75 0.75]
    """

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> jax.Array:
        check_latents("exact", q)
        for d in latents(q):
            if not hasattr(d, "enumerate_support"):
                raise TypeError(
                    "Expected distributions with num_states and enumerate_support in "
                    f"jaxdiscrete.exact, got {type(d).__name__}. Add them, or "
                    "estimate with a Monte Carlo estimator."
                )
        check_objective(f, key, q, args, has_aux=False)
        sizes = [d.num_states for d in latents(q)]
        num_states = math.prod(sizes)
        if num_states > max_states:
            raise ValueError(
                f"Expected at most max_states={max_states} joint states in "
                f"jaxdiscrete.exact, got {num_states}. Raise max_states, or estimate "
                "with a Monte Carlo estimator."
            )
        states = _joint_support(q, sizes)
        log_probs = jax.vmap(lambda z: log_prob(q, z))(states)
        weights = jnp.exp(log_probs)
        # An impossible state counts for nothing, whatever f or its derivative is
        # there: f sees a possible one in its place, with weight zero.
        is_possible = weights > 0
        likeliest = jnp.argmax(log_probs)
        index = jnp.where(is_possible, jnp.arange(num_states), likeliest)
        states = freeze(jax.tree.map(lambda x: x[index], states))
        values = jax.vmap(lambda z: jnp.asarray(f(z, *args)))(states)
        terms = values.astype(weights.dtype) * weights
        return terms.sum().astype(values.dtype)

    return estimate


def _joint_support(q: PyTree, sizes: list[int]) -> PyTree:
    """All joint states of a pytree of distributions, along a leading axis."""
    leaves, treedef = jax.tree.flatten(q, is_leaf=is_sampler)
    grids = np.indices(sizes).reshape(len(sizes), -1)
    supports = [
        d.enumerate_support()[np.asarray(index)]
        for d, index in zip(leaves, grids, strict=True)
    ]
    return jax.tree.unflatten(treedef, supports)
