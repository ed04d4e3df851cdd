r"""Weights for decisions of another policy.

With :math:`\rho_t = q_t(z_t)/\mu_t(z_t)` for decisions that a policy :math:`\mu` has
drawn, a weighted cost :math:`w_t c_t` has under :math:`\mu` the expectation of
:math:`c_t` under q, if :math:`w_t` holds the ratios of all decisions up to t.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

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

    A weight of zero leaves nothing of the site, whatever is divided by it.
    """
    is_zero = weights == 0
    return jnp.where(is_zero, 0.0, credit / jnp.where(is_zero, 1.0, weights))
