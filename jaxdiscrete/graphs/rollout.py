"""The scan of a sequence of decisions, and its check before any compute."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxdiscrete.core.checks import check_real_scalar
from jaxdiscrete.core.latents import draw, freeze, is_array, log_prob
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.precision import at_least_float32, in_float32
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.graphs.given import Action
from jaxdiscrete.graphs.probe import check_site
from jaxdiscrete.graphs.samples import as_sample, check_hard, check_shapes, convert
from jaxdiscrete.graphs.sites import Transform

#: ``policy(carry, x) -> (q, inputs)``.
Policy = Callable[[PyTree, PyTree], tuple[PyTree, tuple[Any, ...]]]
#: ``step(carry, z, x) -> (carry, cost)``, or ``(carry, (cost, aux))``.
Step = Callable[[PyTree, PyTree, PyTree], tuple[PyTree, Any]]


class Steps(NamedTuple):
    """The record of an episode, stacked over time.

    Attributes:
      cost: live, in at least float32.
      aux: of the step, or None.
      q: the distributions, live.
      inputs: of the baseline or critic.
      z: the decisions.
      is_active: whether the step counts.
      ratio: of the probabilities of a given decision, stopped; 1 for one drawn here.
    """

    cost: jax.Array
    aux: Any
    q: PyTree
    inputs: tuple[Any, ...]
    z: PyTree
    is_active: jax.Array
    ratio: jax.Array


@dataclasses.dataclass(frozen=True)
class Episode:
    """A policy in its environment, the arguments of :func:`jaxdiscrete.sequential`."""

    policy: Policy
    step: Step
    active: Callable[[PyTree, PyTree], jax.Array] | None
    has_aux: bool

    def run(
        self, key: jax.Array, carry: PyTree, xs: PyTree, actions: Action | None
    ) -> tuple[PyTree, Steps]:
        """The last carry and what happened, with decisions drawn or given."""

        def body(state: tuple[PyTree, Any], row: Any) -> tuple[Any, Steps]:
            (carry, stand_in), (x, key, action) = state, row
            is_active, here = jnp.ones((), bool), (carry, x)
            if self.active is not None:
                is_active = jnp.asarray(self.active(carry, x))
                here = stand_in = select(is_active, here, freeze(stand_in))
            q, inputs = self.policy(*here)
            ratio = jnp.ones(())
            if action is None:
                z = draw(key, freeze(q))
            else:
                z = as_sample(q, action.z)
                if self.active is not None:
                    z = select(is_active, z, draw(key, freeze(q)))
                ratio = jnp.exp(log_prob(freeze(q), z) - in_float32(action.log_prob))
                ratio = jnp.where(is_active, freeze(ratio), 1.0)
            new, out = self.step(here[0], z, here[1])
            cost, aux = out if self.has_aux else (out, None)
            cost = in_float32(jnp.asarray(cost))
            if self.active is not None:
                new = select(is_active, new, carry)
                cost = jnp.where(is_active, cost, 0.0)
            return (new, stand_in), Steps(cost, aux, q, inputs, z, is_active, ratio)

        keys = jax.random.split(key, num_steps_of(xs))
        start = _varying_like((carry, self._first_stand_in(carry, xs)), key)
        (last, _), steps = jax.lax.scan(body, start, (xs, keys, actions))
        return last, steps

    def _first_stand_in(self, carry: PyTree, xs: PyTree) -> Any:
        """Where the first active step will be evaluated, for those before it.

        A step that is not active is evaluated where the last active one was. Nothing
        but zeros comes back from there, and zero times a finite derivative is zero: a
        batch can share weights, whose cotangents arrive already summed.
        """
        if self.active is None:
            return None
        first = jnp.argmax(jax.vmap(self.active, (None, 0))(carry, xs))
        return carry, jax.tree.map(lambda x: jnp.asarray(x)[first], xs)


def select(condition: jax.Array, a: PyTree, b: PyTree) -> PyTree:
    """``a`` where the condition is True, else ``b``, leaf by leaf."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


def _varying_like(tree: PyTree, key: jax.Array) -> PyTree:
    """``tree``, which under shard_map varies over devices as the key does."""
    never = jnp.isnan(jax.random.key_data(key).sum().astype(jnp.float32))
    return jax.tree.map(lambda x: jnp.where(never, x, x), tree)


def num_steps_of(xs: PyTree) -> int:
    """The length of xs along time."""
    lengths = {np.shape(x)[0] if np.ndim(x) else 0 for x in jax.tree.leaves(xs)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "Expected xs of jaxdiscrete.sequential to have one leading axis of time, "
            f"of length one or more, got lengths {sorted(lengths)}. Without "
            "inputs pass jnp.arange(num_steps)."
        )
    return lengths.pop()


def check_episode(
    episode: Episode,
    transform: Transform,
    carry: PyTree,
    xs: PyTree,
    actions: Action | None,
    num_samples: int,
) -> DTypeLike:
    """Raises unless policy, step and transform fit one another, without computing.

    Args:
      episode: the policy in its environment.
      transform: of every step.
      carry: the first one.
      xs: inputs, with a leading axis of time.
      actions: given decisions, with leading axes of rollouts and time, or None.
      num_samples: how many rollouts.

    Returns:
      The dtype of the costs.
    """
    x = jax.tree.map(lambda x: jax.eval_shape(lambda: jnp.asarray(x)[0]), xs)
    if episode.active is not None:
        mask = jax.eval_shape(episode.active, carry, x)
        if jnp.shape(mask) != () or jnp.result_type(mask) != jnp.bool_:
            raise TypeError(
                "Expected active of jaxdiscrete.sequential to return one boolean "
                f"scalar, got shape {jnp.shape(mask)} of {jnp.result_type(mask)}. "
                "Compare it, for instance t < length."
            )
    q, inputs = jax.eval_shape(_checked(episode.policy), carry, x)

    def check_decision(q: PyTree, inputs: tuple[Any, ...]) -> PyTree:
        check_latents("sequential", q)
        z = draw(jax.random.key(0), q)
        check_site("sequential", transform, q, inputs, z)
        return z

    z = jax.eval_shape(check_decision, q, inputs)
    if actions is not None:
        _check_actions(actions, z, (num_samples, num_steps_of(xs)))
        if episode.active is None:  # else what stands past the end may be anything
            some_q = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), q)
            check_hard(some_q, convert(z, actions.z), num_axes=2)
    return _check_step(episode, carry, z, x)


def _checked(policy: Policy) -> Policy:
    """The policy, which raises unless it returns what a scan can hand on."""

    def checked(carry: PyTree, x: PyTree) -> tuple[PyTree, tuple[Any, ...]]:
        out = policy(carry, x)
        if not isinstance(out, tuple) or len(out) != 2 or not isinstance(out[1], tuple):
            raise TypeError(
                "Expected policy of jaxdiscrete.sequential to return (q, inputs) with "
                f"a tuple of inputs, got {type(out).__name__}. Without inputs return "
                "(q, ())."
            )
        check_latents("sequential", out[0])
        for leaf in jax.tree.leaves(out):
            if not is_array(leaf) and not isinstance(leaf, bool | int | float):
                raise TypeError(
                    "Expected policy of jaxdiscrete.sequential to return registered "
                    "pytrees of arrays, which a scan can hand on, got "
                    f"{type(leaf).__name__}. Register its class with "
                    "jax.tree_util.register_dataclass, or use jaxdiscrete.program."
                )
        return out

    return checked


def _check_actions(actions: Action, z: PyTree, leading: tuple[int, int]) -> None:
    if not isinstance(actions, Action):
        raise TypeError(
            "Expected actions of jaxdiscrete.sequential to be a jaxdiscrete.Action, "
            f"got {type(actions).__name__}. Pass Action(z, log_prob)."
        )
    stacked = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((*leading, *x.shape), x.dtype), z
    )
    check_shapes(stacked, actions.z)
    if jnp.shape(actions.log_prob) != leading:
        raise ValueError(
            "Expected log_prob of the actions of jaxdiscrete.sequential to have one "
            f"entry per rollout and step, {leading}, got shape "
            f"{jnp.shape(actions.log_prob)}. It is the log-probability under the "
            "policy that drew them."
        )


def _check_step(episode: Episode, carry: PyTree, z: PyTree, x: PyTree) -> DTypeLike:
    out = jax.eval_shape(episode.step, carry, z, x)
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(
            "Expected step of jaxdiscrete.sequential to return (carry, cost), got "
            f"{type(out).__name__}. Return a pair."
        )
    new, cost = out
    if episode.has_aux and (not isinstance(cost, tuple) or len(cost) != 2):
        raise TypeError(
            "Expected step of jaxdiscrete.sequential to return (carry, (cost, aux)) "
            f"with has_aux=True, got {type(cost).__name__} in place of the second. "
            "Return a pair."
        )
    cost = cost[0] if episode.has_aux else cost
    check_real_scalar("the cost of step", cost)
    expected, got = _describe(carry), _describe(new)
    if expected != got:
        raise TypeError(
            "Expected step of jaxdiscrete.sequential to return a carry of the "
            f"structure, shapes and dtypes of the first one, {expected}, got {got}. "
            "Convert it, or start from a carry like it."
        )
    return at_least_float32(jnp.result_type(cost))


def _describe(tree: PyTree) -> str:
    leaves, treedef = jax.tree.flatten(tree)
    types = [(jnp.shape(x), str(jnp.result_type(x))) for x in leaves]
    return f"{treedef} of {types}"
