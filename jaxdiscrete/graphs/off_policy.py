r"""Weights for decisions of another policy.

With :math:`\rho_t = q_t(z_t)/\mu_t(z_t)` for decisions that a policy :math:`\mu` has
drawn, a weighted cost :math:`w_t c_t` has under :math:`\mu` the expectation of
:math:`c_t` under q, if :math:`w_t` holds the ratios of all decisions up to t.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.graphs.credit import Credit

#: ``weights(ratios) -> weights``, both ``[time]``, stopped: of the costs of the steps.
Weights = Callable[[jax.Array], jax.Array]


def per_decision_weights(ratios: jax.Array) -> jax.Array:
    r"""The product of the ratios up to each step, :math:`\prod_{s\le t}\rho_s`.

    Unbiased, and of less variance than :func:`whole_sequence_weights`: a cost is not
    weighted by decisions that come after it.

    Args:
      ratios: ``[time]``.

    Returns:
      ``[time]``.

    Example:
      >>> print(jd.per_decision_weights(jnp.array([2.0, 0.5, 3.0])))
      [2. 1. 3.]

    References:
      D. Precup, R. S. Sutton, S. Singh, Eligibility traces for off-policy policy
      evaluation, 2000.
    """
    return jnp.cumprod(ratios)


def whole_sequence_weights(ratios: jax.Array) -> jax.Array:
    """The product of all ratios, for every step.

    Unbiased. All that a sequence costs has one weight, as in
    :func:`score_function_loss`.

    Args:
      ratios: ``[time]``.

    Returns:
      ``[time]``.

    Example:
      >>> print(jd.whole_sequence_weights(jnp.array([2.0, 0.5, 3.0])))
      [3. 3. 3.]
    """
    return jnp.broadcast_to(jnp.prod(ratios), ratios.shape)


def credit_per_weight(credit: jax.Array, weights: jax.Array) -> jax.Array:
    """The credit of weighted costs, as each site sees it before its own weight.

    A weight of zero leaves nothing of the site, whatever is divided by it: where later
    costs have another weight, what they say of the site would be lost, and it is NaN.
    """
    is_zero = weights == 0
    per_weight = jnp.where(is_zero, 0.0, credit / jnp.where(is_zero, 1.0, weights))
    # NaN where it is meant, and nowhere on the way: jax_debug_nans looks there, too.
    return per_weight * jnp.where(is_zero & (credit != 0), jnp.nan, 1.0)


def check_credit_of_weighted_costs(
    credit: Credit, weights: Weights, like: jax.ShapeDtypeStruct
) -> None:
    """Raises where steps are credited with what has not the weight of their decision.

    Earlier costs and constants are independent of a decision under the policy that has
    drawn it only once they are weighted by its ratio as well. Both functions are tried
    on numbers, where they close over nothing that is traced.

    Args:
      credit: as the user gave it.
      weights: as the user gave it.
      like: the shape and dtype of the costs.
    """
    none = np.zeros(like.shape, like.dtype)
    first = none.copy()
    first[0] = 1.0
    ratios = np.linspace(2.0, 3.0, like.size, dtype=like.dtype)
    before, after = _tried(credit, none), _tried(credit, first)
    of_costs = _tried(weights, ratios)
    if before is None or after is None or of_costs is None:
        return
    if before.any() and not np.all(of_costs == 1.0):
        raise ValueError(
            "Expected credit of given actions in jaxdiscrete.sequential to be zero "
            f"where all costs are, got {before[0]:g} for the first step. What is not a "
            "sum of costs has not their weights, and biases the gradient. Use a "
            "baseline of the transform, which is weighted by the decision."
        )
    if np.array_equal(before[1:], after[1:]) or np.all(of_costs == of_costs[0]):
        return
    raise ValueError(
        "Expected credit of given actions in jaxdiscrete.sequential to hold nothing "
        "that was charged before a step, got one that does, with weights that differ "
        "between steps. The earlier costs are not weighted by the decision, and bias "
        "its gradient. Use credit=jaxdiscrete.cost_to_go, or "
        "weights=jaxdiscrete.whole_sequence_weights."
    )


def _tried(fn: Callable[[jax.Array], jax.Array], x: np.ndarray) -> np.ndarray | None:
    """The value of a function at a known point, or None where it is traced."""
    program = jax.make_jaxpr(fn)(x)
    if any(isinstance(c, jax.core.Tracer) for c in program.consts):
        return None
    with jax.ensure_compile_time_eval():
        (value,) = jax.extend.core.jaxpr_as_fun(program)(x)
        return np.asarray(value)
