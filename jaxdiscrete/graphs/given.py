"""Samples that were drawn elsewhere: by a server, a simulator, an earlier policy."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.checks import check_real_scalar
from jaxdiscrete.core.latents import draw, freeze, is_array, log_prob
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.sample import given_sample
from jaxdiscrete.core.typing import Estimator, PyTree
from jaxdiscrete.graphs.samples import as_sample, check_possible


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
    # Stopped as by a user: nothing accounts for this sample yet, so that an f that acts
    # inside depends on its own sample on a way without a derivative.
    stopped = jax.tree.map(lambda x: jax.lax.stop_gradient(x) if is_array(x) else x, q)
    z = draw(key, stopped)
    return Action(z, jax.lax.stop_gradient(log_prob(q, z)))


def importance_weight(q: PyTree, action: Action) -> jax.Array:
    r"""The weight :math:`q(z)/\mu(z)` of an action that another policy has drawn.

    Args:
      q: the distributions of the learner.
      action: z, and its log-probability under the policy :math:`\mu` that drew it.

    Returns:
      Scalar in at least float32, stopped. Its expectation under :math:`\mu` is 1.

    Raises:
      TypeError: if q holds no distributions, or the action is no :class:`Action`.
      ValueError: if z does not have the shapes of a sample of q, or is known and no
        hard sample, or ``log_prob`` is no scalar. Batch with :func:`jax.vmap`.

    Example:
      >>> old, new = jd.Bernoulli(jnp.array(0.0)), jd.Bernoulli(jnp.array(1.0))
      >>> action = jd.act(jax.random.key(0), old)
      >>> weight = jd.importance_weight(new, action)
      >>> print(action.z, np.asarray(weight).round(2))
      0.0 0.54
    """
    check_latents("importance_weight", q)
    z = decision_of("importance_weight", q, action)
    ratio = log_prob(freeze(q), z) - in_float32(jnp.asarray(action.log_prob))
    return jax.lax.stop_gradient(jnp.exp(ratio))


def decision_of(where: str, q: PyTree, action: Action) -> PyTree:
    """The decision of one action, as a sample of q.

    Args:
      where: the function, for the message.
      q: pytree of distributions.
      action: what another policy has drawn.
    """
    if not isinstance(action, Action):
        raise TypeError(
            f"Expected an action of jaxdiscrete.{where} to be a jaxdiscrete.Action, "
            f"got {type(action).__name__}. Pass Action(z, log_prob)."
        )
    if jnp.shape(action.log_prob) != ():
        raise ValueError(
            f"Expected log_prob of an action of jaxdiscrete.{where} to be one scalar, "
            "the joint log-probability under the policy that drew it, got shape "
            f"{jnp.shape(action.log_prob)}. Nothing is broadcast: use jax.vmap."
        )
    return as_sample(q, action.z)


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
      z: the sample, of the structure and shapes of a sample of q, in whose dtype
        integers and booleans are taken. Stopped.
      importance_weight: scalar, stopped. Default: 1.
      has_aux: whether the estimate returns ``(scalar, aux)``.

    Returns:
      ``estimate(key, q, *args) -> scalar``, which draws nothing but conditional noise.

    Raises:
      TypeError: when called, if the estimator draws several samples or relaxes them,
        or ``has_aux`` is not what the estimate returns.
      ValueError: when called, if z does not have the shapes of a sample of q, or is
        known and no hard sample, or impossible under q with a weight that is not zero.

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
        sample = as_sample(q, z)
        check_possible(q, sample, importance_weight)
        out = estimate(given_sample(sample, key), q, *args)
        if isinstance(out, tuple) != has_aux:
            raise TypeError(
                f"Expected the estimate of jaxdiscrete.given with has_aux={has_aux} to "
                f"return {'(scalar, aux)' if has_aux else 'one scalar'}, got "
                f"{type(out).__name__}. Pass has_aux to the estimator and to given."
            )
        if importance_weight is None:
            return out
        value, aux = out if has_aux else (out, None)
        weight = jax.lax.stop_gradient(jnp.asarray(importance_weight))
        value = value * weight.astype(value.dtype)
        return (value, aux) if has_aux else value

    return estimate_at
