"""Distinct joint states with weights that add up, each evaluated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.core.baselines import Baseline, check_baseline
from jaxdiscrete.core.batches import check_chunk_size, over_batch, place
from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.latents import freeze, log_prob, specs_of_samples
from jaxdiscrete.core.needs import FINITE
from jaxdiscrete.core.objective import ObjectiveWithAux, as_signal
from jaxdiscrete.core.placed import WHOLE, automatically, first_axis_whole
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.sample import SEVERAL_SAMPLES
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.enumeration.states import num_joint_states, states_of


class WeightedStates(NamedTuple):
    """Joint states, and how they count.

    Attributes:
      choices: int32 ``[k, variables]``, the class of every variable.
      weights: ``[k]``, of the values of f in the value of the estimate.
      extra: what the signals are made of beside the values of f, if anything.
    """

    choices: jax.Array
    weights: jax.Array
    extra: Any = None


#: ``signal(value, q, z, values, states, args) -> (value, signals)``: the value of the
#: estimate, on which objectives may be attached, and the weights of the scores.
Signal = Callable[
    [jax.Array, PyTree, PyTree, jax.Array, WeightedStates, tuple[Any, ...]],
    tuple[jax.Array, jax.Array],
]


def weighted_states(
    name: str,
    f: Objective,
    *,
    states: Callable[[jax.Array, PyTree], WeightedStates],
    signal: Signal,
    what: str,
    count: int,
    chunk_size: int | None,
    sharding: jax.sharding.Sharding | None,
    has_aux: bool,
    baseline: Baseline | None = None,
) -> Estimator:
    """Builds an estimator from its states and their weights.

    The gradient with respect to q is the sum over states of signal times score.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective.
      states: ``(key, q) -> WeightedStates``, for the frozen q.
      signal: from the stopped values of f to the weights of the scores.
      what: what the user calls the number of states.
      count: that number, at most that of all joint states.
      chunk_size: at how many states f runs at a time, None for all. Static.
      sharding: of the axis of states; None leaves it to the compiler.
      has_aux: whether f returns ``(value, aux)``.
      baseline: what ``signal`` subtracts, checked before any compute.

    Returns:
      ``estimate(key, q, *args)``.
    """
    check_chunk_size(name, chunk_size)

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        total = num_joint_states(q)
        if count > total:
            raise ValueError(
                f"Expected {what} <= {total}, the number of joint states of q, in "
                f"jaxdiscrete.{name}, got {count}. Use jaxdiscrete.exact, which sums "
                "over all of them."
            )
        check_baseline(baseline, args)

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        chosen = automatically(states, key, freeze(q), out=WHOLE)
        specs = specs_of_samples(q)
        z = freeze(automatically(states_of, q, chosen.choices, out=specs))
        values, aux = over_batch(
            lambda x: objective(x, *args), place(z, sharding), chunk_size
        )
        values = first_axis_whole(values)
        terms = in_float32(values)
        total = jnp.sum(terms * freeze(chosen.weights).astype(terms.dtype))
        value = total.astype(values.dtype)
        value, signals = signal(value, q, z, as_signal(values), chosen, args)
        log_probs = jax.vmap(lambda x: log_prob(q, x))(z)
        return attach_gradient(value, [log_probs], [freeze(signals)]), aux

    return estimator(
        name,
        f,
        body,
        needs=FINITE,
        has_aux=has_aux,
        draws_its_own=SEVERAL_SAMPLES,
        check=check,
    )
