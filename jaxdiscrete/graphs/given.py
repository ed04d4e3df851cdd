"""Samples that were drawn elsewhere: by a server, a simulator, an earlier policy."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.checks import check_real_scalar
from jaxdiscrete.core.latents import draw, freeze, log_prob
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.sample import given_sample
from jaxdiscrete.core.typing import Estimator, PyTree


class Action(NamedTuple):
    """A decision and its log-probability, as :func:`act` returns them.

    Attributes:
      z: a hard sample, of q's structure.
      log_prob: its joint log-probability under the q that drew it, a scalar.
    """

    z: PyTree
    log_prob: jax.Array


def act(key: jax.Array, q: PyTree) -> Action:
    """A hard sample, and what a later estimate of :func:`given` needs to know of it.

    Whoever acts keeps no key for whoever learns: an estimator that is given z draws
    what else it needs from its own key.

    Args:
      key: PRNG key; or what stands in its place in an estimator of one's own that is
        given its sample, which is then returned.
      q: pytree of distributions.

    Returns:
      An :class:`Action`, stopped.

    Raises:
      TypeError: if q holds no distributions.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.0, 2.0]))
      >>> z, log_prob = jd.act(jax.random.key(1), q)
      >>> print(z, log_prob.round(2))
      [1. 1.] -0.82
    """
    check_latents("act", q)
    z = draw(key, q)
    return Action(z, jax.lax.stop_gradient(log_prob(q, z)))


def importance_weight(q: PyTree, action: Action) -> jax.Array:
    r"""The weight :math:`q(z)/\mu(z)` of an action that another policy has drawn.

    Args:
      q: the distributions of the learner.
      action: z, and its log-probability under the policy :math:`\mu` that drew it.

    Returns:
      Scalar in at least float32, stopped. Its expectation under :math:`\mu` is 1.

    Example:
      >>> old, new = jd.Bernoulli(jnp.array(0.0)), jd.Bernoulli(jnp.array(1.0))
      >>> action = jd.act(jax.random.key(0), old)
      >>> weight = jd.importance_weight(new, action)
      >>> print(action.z, np.asarray(weight).round(2))
      0.0 0.54
    """
    ratio = log_prob(freeze(q), action.z) - action.log_prob
    return jax.lax.stop_gradient(jnp.exp(ratio))


def given(
    estimate: Estimator,
    z: PyTree,
    *,
    importance_weight: ArrayLike | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""An estimate at a sample that was drawn elsewhere.

    By a server, a simulator, or an earlier policy; :func:`act` draws one. For the
    estimators of a single sample: :func:`reinforce`, :func:`nvil`, :func:`dice`,
    :func:`muprop`, :func:`control_variate`, and :func:`rebar` and :func:`relax`, whose
    conditional noise is then drawn given z. Unbiased if z is a sample of q; if z is one
    of another policy, unbiased with its :func:`importance_weight`, by which the value
    and every gradient are multiplied (baselines and critics are then trained for the
    second moment under q).

    Args:
      estimate: ``estimate(key, q, *args) -> scalar`` of one sample.
      z: the sample, of the structure and shapes of a sample of q. Stopped.
      importance_weight: scalar, stopped. Default: 1.
      has_aux: whether the estimate returns ``(scalar, aux)``.

    Returns:
      ``estimate(key, q, *args) -> scalar``, which draws nothing but conditional noise.

    Raises:
      TypeError: when called, if the estimator draws several samples or relaxes them.
      ValueError: when called, if z does not have the shapes of a sample of q, or is
        known and impossible under q.

    Example:
      >>> q = jd.Bernoulli(jnp.array(0.0))
      >>> action = jd.act(jax.random.key(0), q)  # now, and the cost comes later
      >>> cost = 3.0
      >>> estimate = jd.given(jd.reinforce(lambda z: cost), action.z)
      >>> print(action.z, jax.grad(estimate, 1)(jax.random.key(1), q).logits)
      0.0 -1.5
    """
    if importance_weight is not None:
        check_real_scalar("importance_weight", jnp.asarray(importance_weight) * 1.0)

    def estimate_at(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_latents("given", q)
        check_is_sample(q, z)
        out = estimate(given_sample(freeze(z), key), q, *args)
        if importance_weight is None:
            return out
        value, aux = out if has_aux else (out, None)
        weight = jax.lax.stop_gradient(jnp.asarray(importance_weight))
        value = value * weight.astype(value.dtype)
        return (value, aux) if has_aux else value

    return estimate_at


def check_is_sample(q: PyTree, z: PyTree) -> None:
    """Raises unless z has the shapes of a sample of q, and is not known impossible."""
    check_shapes_of_sample(jax.eval_shape(lambda: draw(jax.random.key(0), q)), z)
    try:
        known = float(np.asarray(log_prob(freeze(q), z)))
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
        return
    if known == -np.inf:
        raise ValueError(
            "Expected a given z that is possible under q, got one of probability zero. "
            "A masked class cannot have been drawn from this q."
        )


def check_shapes_of_sample(expected: PyTree, z: PyTree) -> None:
    """Raises unless z has the structure and shapes of what a sample looks like."""
    shapes, got = _shapes(expected), _shapes(z)
    if shapes != got:
        raise ValueError(
            f"Expected a given z of the shapes of a sample of q, {shapes}, got {got}. "
            "Nothing is broadcast: use jax.vmap."
        )


def _shapes(tree: PyTree) -> str:
    leaves, treedef = jax.tree.flatten(tree)
    return f"{treedef} of {[jnp.shape(x) for x in leaves]}"
