"""Joint states of independent variables, drawn without replacement.

The space may be huge: 200 binary variables have 2**200 joint states. A Gumbel is
assigned to every one of them, but only the subtrees that hold the k largest are ever
looked at (stochastic beam search).
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import flatten, latents
from jaxdiscrete.core.precision import at_least_float32
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.core.varying import match_varying
from jaxdiscrete.distributions.common import quotient_and_rest
from jaxdiscrete.noise import (
    gumbel_from_uniform,
    select_from_bits,
    uniform_from_bits,
)


class States(NamedTuple):
    """Distinct joint states, and what is left.

    Attributes:
      choices: int32 ``[k, variables]``, the class of every variable.
      log_probs: ``[k]``; ``-inf`` where no further state was possible, and the choices
        there are those of the first state.
      log_rest: the log of the mass of all other states. A sum of what was left out,
        and not one minus a sum: exact also where it is tiny.
    """

    choices: jax.Array
    log_probs: jax.Array
    log_rest: jax.Array


def num_joint_states(q: PyTree) -> int:
    """The number of joint states of a pytree of distributions."""
    return math.prod(d.num_classes ** math.prod(d.batch_shape) for d in latents(q))


def log_prob_table(q: PyTree) -> jax.Array:
    """Log-probabilities ``[variables, classes]`` of all variables, in tree order.

    Rows with fewer classes than the longest end in ``-inf``.
    """
    tables = [d.log_probabilities().reshape(-1, d.num_classes) for d in latents(q)]
    dtype = at_least_float32(*(t.dtype for t in tables))
    width = max(t.shape[-1] for t in tables)

    def pad(t: jax.Array) -> jax.Array:
        padding = [(0, 0), (0, width - t.shape[-1])]
        return jnp.pad(t.astype(dtype), padding, constant_values=-jnp.inf)

    return jnp.concatenate([pad(t) for t in tables])


def states_of(q: PyTree, choices: jax.Array) -> PyTree:
    """The samples that belong to choices, as a pytree of the structure of q.

    Args:
      q: pytree of distributions.
      choices: integers ``[k, variables]``.

    Returns:
      Samples along a leading axis of k.
    """
    leaves, treedef = flatten(q)
    samples, start = [], 0
    for d in leaves:
        stop = start + math.prod(d.batch_shape)
        index = choices[:, start:stop].reshape(-1, *d.batch_shape)
        samples.append(d.from_classes(index))
        start = stop
    return jax.tree.unflatten(treedef, samples)


def sample_without_replacement(key: jax.Array, q: PyTree, k: int) -> States:
    """k distinct joint states, each drawn in proportion to its probability.

    Args:
      key: PRNG key.
      q: pytree of distributions with classes.
      k: how many, at most the number of joint states. Static.

    Returns:
      The states in the order in which they are drawn.
    """
    table = log_prob_table(q)
    return _beam_search(table, k, _race(key, table, k))


def top_states(q: PyTree, k: int) -> States:
    """The k most likely joint states.

    Args:
      q: pytree of distributions with classes.
      k: how many, at most the number of joint states. Static.

    Returns:
      The states, the most likely one first.
    """
    return _beam_search(log_prob_table(q), k, None)


class _Race(NamedTuple):
    """How the children of every state in the beam come in.

    Attributes:
      first: int32 ``[variables, k]``, the class that comes first. It has the largest
        perturbed log-probability, which is that of its parent.
      behind: ``[variables, k, classes]``, the Gumbels of the others.
    """

    first: jax.Array
    behind: jax.Array


def _race(key: jax.Array, table: jax.Array, k: int) -> _Race:
    """Who comes first is drawn, and one Gumbel less than there are classes."""
    num_variables, num_classes = table.shape
    shape = (num_variables, k, max(num_classes - 1, 1))
    bits = jax.random.bits(key, shape, jnp.uint32)
    first, rest = select_from_bits(bits[..., 0], jnp.exp(table)[:, None, :])
    others = uniform_from_bits(bits[..., 1:])
    noise = gumbel_from_uniform(jnp.concatenate([rest[..., None], others], axis=-1))
    noise = noise[..., : num_classes - 1]
    # The first needs none, and leaves its own to the last class.
    classes = jnp.arange(num_classes - 1, dtype=jnp.int32)
    is_first = first[..., None] == classes[None, None]
    last = jnp.sum(jnp.where(is_first, noise, 0.0), axis=-1, keepdims=True)
    behind = jnp.concatenate([noise, last], axis=-1)
    return _Race(first, behind.astype(table.dtype))


# Compiled here once for every shape: the loop of a caller without jit would otherwise
# be compiled anew at each call.
@functools.partial(jax.jit, static_argnames="k")
def _beam_search(table: jax.Array, k: int, race: _Race | None) -> States:
    """The k joint states of the largest perturbed log-probability.

    Args:
      table: log-probabilities ``[variables, classes]``.
      k: how many. Static.
      race: of the children, or None for no perturbation.

    Returns:
      The states, in decreasing order.
    """
    num_classes = table.shape[-1]

    def extend(
        beam: tuple[jax.Array, jax.Array], x: tuple[jax.Array, _Race | None]
    ) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        log_p, perturbed = beam
        row, race = x
        children = log_p[:, None] + row[None, :]
        ranked = children
        if race is not None:
            ranked = _ranked(children, perturbed[:, None], race)
        perturbed, kept = jax.lax.top_k(ranked.reshape(-1), k)
        children = children.reshape(-1)
        return (children[kept], perturbed), (kept, children)

    def trace_back(beam: jax.Array, kept: jax.Array) -> tuple[jax.Array, jax.Array]:
        kept = kept[beam]
        return quotient_and_rest(kept, num_classes)

    witness = table[0, 0]
    if race is not None:
        witness = witness + race.behind[0, 0, 0]
    # The law of the order does not depend on the largest Gumbel of all, which may
    # therefore be any number: it is zero.
    root = jnp.where(jnp.arange(k) == 0, 0.0, -jnp.inf).astype(table.dtype)
    root = match_varying(root, witness)
    (log_probs, _), (kept, children) = jax.lax.scan(extend, (root, root), (table, race))
    pruned = jax.vmap(lambda row, i: row.at[i].set(-jnp.inf))(children, kept)
    leaves = match_varying(jnp.arange(k, dtype=jnp.int32), witness)
    _, choices = jax.lax.scan(trace_back, leaves, kept, reverse=True)
    choices = choices.T
    is_impossible = log_probs[:, None] == -jnp.inf
    choices = jnp.where(is_impossible, choices[:1], choices)
    return States(choices, log_probs, jax.nn.logsumexp(pruned))


def _ranked(children: jax.Array, top: jax.Array, race: _Race) -> jax.Array:
    """Perturbed log-probabilities, given that the largest of a row is ``top``.

    Gumbels are minus the logarithms of times of arrival, which have no memory: the
    first comes when its parent does, and the others are that much later than otherwise.
    """
    free = children + race.behind
    # Not log1p: what it adds is below the precision of the sum, at twice the time.
    later = jnp.minimum(top, free) - jnp.log(1.0 + jnp.exp(-jnp.abs(top - free)))
    classes = jnp.arange(children.shape[-1], dtype=jnp.int32)
    ranked = jnp.where(race.first[:, None] == classes[None], top, later)
    return jnp.where(children == -jnp.inf, -jnp.inf, ranked)
