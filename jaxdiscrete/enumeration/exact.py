"""The exact expectation, by enumeration of every joint state."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.batches import check_chunk_size, over_batch
from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.facts import EVERY_STATE, facts
from jaxdiscrete.core.latents import freeze, is_sampler, latents, log_prob
from jaxdiscrete.core.needs import ENUMERABLE
from jaxdiscrete.core.objective import ObjectiveWithAux
from jaxdiscrete.core.precision import weighted_sum
from jaxdiscrete.core.sample import ALL_STATES
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.distributions.common import quotient_and_rest


@facts(calls=EVERY_STATE, needs=ENUMERABLE, reference="enumeration")
def exact(
    f: Objective,
    *,
    max_states: int = 2**16,
    chunk_size: int | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""The expectation itself, by enumeration; the oracle of every estimator.

    :math:`\sum_z q_\phi(z) f(z)`. Exact, differentiable in forward and reverse mode
    to any order. One call of ``f`` per joint state, vmapped; f need not be
    differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      max_states: the largest number of joint states to enumerate. Default: 65536.
      chunk_size: at how many states f runs at a time, each chunk recomputed in the
        backward pass. Static. Default: all at once.
      has_aux: whether f returns ``(scalar, aux)`` with floating arrays in aux; the
        estimate then returns their expectations as well. What leaves through aux gets
        no credit for what happens to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the expectation; any key will do, its
      value is not used.

    Raises:
      ValueError: when called, if q has more than ``max_states`` joint states.
      TypeError: when called, if f does not return one real scalar, if q cannot be
        enumerated, or if aux holds anything but floating arrays.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.exact(lambda z: z.sum() ** 2)
      >>> key = jax.random.key(0)
      >>> print(estimate(key, q), jax.grad(estimate, 1)(key, q).logits)
      3.0 [0.75 0.75 0.75]
    """
    check_chunk_size("exact", chunk_size)

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        num_states = math.prod(d.num_states for d in latents(q))
        if num_states > max_states:
            raise ValueError(
                f"Expected at most max_states={max_states} joint states in "
                f"jaxdiscrete.exact, got {_number_in_words(num_states)}. "
                "Raise max_states, or estimate with a Monte Carlo estimator."
            )

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        del key
        sizes = [d.num_states for d in latents(q)]
        states = _joint_support(q, sizes)
        log_probs = jax.vmap(lambda z: log_prob(q, z))(states)
        weights = jnp.exp(log_probs)
        # An impossible state counts for nothing, whatever f or its derivative is
        # there: f sees a possible one in its place, with weight zero.
        is_possible = weights > 0
        likeliest = jnp.argmax(log_probs)
        index = jnp.where(is_possible, jnp.arange(math.prod(sizes)), likeliest)
        states = freeze(jax.tree.map(lambda x: x[index], states))
        values, aux = over_batch(lambda z: objective(z, *args), states, chunk_size)
        mean = _expectation(values, weights, likeliest)
        mean_aux = jax.tree.map(lambda x: _of_aux(x, weights, likeliest), aux)
        return mean, mean_aux

    return estimator(
        "exact",
        f,
        body,
        needs=ENUMERABLE,
        has_aux=has_aux,
        draws_its_own=ALL_STATES,
        check=check,
    )


def _expectation(
    values: jax.Array, weights: jax.Array, likeliest: jax.Array
) -> jax.Array:
    """The mean of values along a leading axis of states.

    Probabilities sum to one, so a constant may be taken out: what all values have in
    common would otherwise meet the rounding errors of the derivatives of the weights.
    """
    wide = values.astype(weights.dtype)
    common = freeze(wide[likeliest])
    common = jnp.where(jnp.isfinite(common), common, 0.0)
    mean = common + weighted_sum(weights, wide - common[None])
    return mean.astype(values.dtype)


def _of_aux(aux: Any, weights: jax.Array, likeliest: jax.Array) -> jax.Array:
    """The mean of one leaf of aux, which must be floating."""
    if not jnp.issubdtype(jnp.result_type(aux), jnp.floating):
        raise TypeError(
            "Expected aux of floating arrays in jaxdiscrete.exact, whose aux is their "
            f"mean over the states, got {jnp.result_type(aux)}. Convert it, for "
            "instance with .astype(jnp.float32), or leave it out."
        )
    return _expectation(aux, weights, likeliest)


def _joint_support(q: PyTree, sizes: list[int]) -> PyTree:
    """All joint states of a pytree of distributions, along a leading axis."""
    leaves, treedef = jax.tree.flatten(q, is_leaf=is_sampler)
    if len(leaves) == 1:
        return jax.tree.unflatten(treedef, [leaves[0].enumerate_support()])
    index = jnp.arange(math.prod(sizes), dtype=jnp.int32)
    supports = []
    for i, d in enumerate(leaves):
        of_its_own, _ = quotient_and_rest(index, math.prod(sizes[i + 1 :]))
        _, state = quotient_and_rest(of_its_own, sizes[i])
        supports.append(d.enumerate_support()[state])
    return jax.tree.unflatten(treedef, supports)


def _number_in_words(count: int) -> str:
    """A count, which may have more digits than Python prints."""
    return str(count) if count < 10**15 else f"10**{math.log10(count):.1f}"
