"""Losses that are bounds of several samples."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.estimators.base import EstimatorAtStep
from jaxdiscrete.experiments.layered.chain import Chain
from jaxdiscrete.experiments.layered.model import LayeredModel
from jaxdiscrete.experiments.networks import Params


def importance_loss(
    model: LayeredModel,
    params: Params,
    estimator: EstimatorAtStep,
    num_samples: int,
    key: jax.Array,
    x: jax.Array,
) -> jax.Array:
    """The negative bound of several samples of one example, for pathwise estimators.

    Args:
      model: the model.
      params: its parameters.
      estimator: a pathwise one, with the training step.
      num_samples: samples in the logarithm. Static.
      key: PRNG key.
      x: one image.

    Returns:
      A scalar, in nats.
    """
    keys = jax.random.split(key, model.depth)

    def remaining(layer: int, below: jax.Array, log_weights: jax.Array) -> jax.Array:
        if layer == model.depth:
            return jnp.log(float(num_samples)) - jax.nn.logsumexp(log_weights)
        q = jax.vmap(lambda b: model.posterior(params, layer, b, x))(below)

        def f(z: jax.Array) -> jax.Array:
            def cost(q: Any, below: jax.Array, z: jax.Array) -> jax.Array:
                return model.cost(params, layer, q, below, z, x, estimator.temperature)

            return remaining(layer + 1, z, log_weights - jax.vmap(cost)(q, below, z))

        return estimator.build(f, {})(keys[layer], q)

    below = jnp.broadcast_to(x, (num_samples, *x.shape))
    return remaining(0, below, jnp.zeros(num_samples))


def bound_loss(
    model: LayeredModel,
    params: Params,
    control_variates: Params,
    estimator: EstimatorAtStep,
    key: jax.Array,
    x: jax.Array,
) -> jax.Array:
    """The negative bound of several samples, for estimators of bounds.

    Args:
      model: the model.
      params: its parameters.
      control_variates: as from ``init_control_variates``.
      estimator: of a bound, with the training step.
      key: PRNG key.
      x: one image.

    Returns:
      A scalar, in nats.
    """

    def log_weight(z: Any, inputs: jax.Array) -> jax.Array:
        del inputs
        samples, total, below = [z] if model.depth == 1 else z, jnp.zeros(()), x
        for layer, sample in enumerate(samples):
            q = model.posterior(params, layer, below, x)
            total -= model.cost(params, layer, q, below, sample, x, 1.0)
            below = sample
        return total

    # One layer keeps its distribution, of which some estimators ask more than samples.
    q: Any = Chain(model, params, x)
    if model.depth == 1:
        q = model.posterior(params, 0, x, x)
    estimate = estimator.build(log_weight, control_variates["layer_0"])
    return -estimate(key, q, model.inputs(0, x, x))
