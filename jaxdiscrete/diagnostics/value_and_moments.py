"""Value, gradient and second moment of an estimate, for logging and tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxdiscrete.core.objective import squared_norm
from jaxdiscrete.core.typing import Estimator, PyTree


class GradientEstimate(NamedTuple):
    """The value of one call of an estimator, and what it says about the gradient."""

    value: jax.Array
    """The value of the estimate, a scalar."""
    gradient: PyTree
    """The gradient estimate with respect to q, with the structure of q."""
    second_moment: jax.Array
    """The squared norm of the gradient estimate, a scalar."""
    aux: Any = None
    """What f returned beside its value, with ``has_aux=True``."""


def value_and_moments(
    estimate: Estimator, *, has_aux: bool = False
) -> Callable[..., GradientEstimate]:
    r"""The pure function under an estimator: value, gradient and second moment.

    Returns :math:`(v, g, |g|^2)` for one key, where g is what ``jax.grad`` of the
    estimate with respect to q is, with the same bias and calls of f.

    Args:
      estimate: ``estimate(key, q, *args) -> scalar``.
      has_aux: whether the estimate returns ``(scalar, aux)``.

    Returns:
      ``(key, q, *args) -> GradientEstimate``; compose it with ``jax.vmap`` over keys
      for means and variances.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.0, 0.0]))
      >>> compute = jd.value_and_moments(jd.reinforce(lambda z: z.sum()))
      >>> out = compute(jax.random.key(1), q)
      >>> print(out.value, out.gradient.logits, out.second_moment)
      1.0 [ 0.5 -0.5] 0.5
    """

    def compute(key: jax.Array, q: PyTree, *args: Any) -> GradientEstimate:
        out, gradient = jax.value_and_grad(estimate, argnums=1, has_aux=has_aux)(
            key, q, *args
        )
        value, aux = out if has_aux else (out, None)
        return GradientEstimate(value, gradient, squared_norm(gradient), aux)

    return compute
