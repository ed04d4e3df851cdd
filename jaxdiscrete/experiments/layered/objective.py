"""The training loss of a chain of latent layers.

The loss of one example is the sum of the layers' costs, and the signal of a layer is
local: its own cost and those of the layers above, because what lies below has dropped
out. An estimator that knows of them no more than their sum has it from one run of the
chain. One that evaluates its objective elsewhere, or differentiates it, is nested: the
objective of a layer holds the estimate of the layers above.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import (
    Estimator,
    EstimatorAtStep,
    LatentSpec,
)
from jaxdiscrete.experiments.layered.bounds import bound_loss
from jaxdiscrete.experiments.layered.chain import Chain
from jaxdiscrete.experiments.layered.model import LayeredModel
from jaxdiscrete.experiments.networks import Params

#: From a layer, the sample below and its own to its cost.
Cost = Callable[[int, jax.Array, jax.Array], jax.Array]


def init_control_variates(
    model: LayeredModel, params: Params, estimator: Estimator, key: jax.Array
) -> Params:
    """Initial parameters of every layer's control variate.

    Args:
      model: the model.
      params: its parameters, for shapes.
      estimator: its settings.
      key: PRNG key.

    Returns:
      ``{"layer_0": {...}, ...}``.
    """
    result = {}
    x = jnp.zeros(model.num_pixels)
    below = x
    for layer, layer_key in enumerate(jax.random.split(key, model.depth)):
        q = model.posterior(params, layer, below, x)
        inputs = model.inputs(layer, below, x)
        latents = LatentSpec(jnp.zeros_like(q.mean()), q.batch_shape, inputs)
        result[f"layer_{layer}"] = estimator.init(layer_key, latents)
        below = latents.z
    return result


def loss(
    model: LayeredModel,
    params: Params,
    control_variates: Params,
    estimator: EstimatorAtStep,
    key: jax.Array,
    x: jax.Array,
) -> jax.Array:
    """The negative bound of one example, whose gradient is the estimated one.

    Args:
      model: the model.
      params: its parameters.
      control_variates: as from :func:`init_control_variates`.
      estimator: with the training step.
      key: PRNG key.
      x: one image.

    Returns:
      A scalar, in nats.
    """
    settings = estimator.settings
    if settings.is_bound:
        return bound_loss(model, params, control_variates, estimator, key, x)
    # The score function has mean zero, and as the direct derivative of log q it would
    # be noise alone; a pathwise estimator needs that derivative.
    scored = params if estimator.settings.is_pathwise else jax.lax.stop_gradient(params)

    def cost(layer: int, below: jax.Array, z: jax.Array) -> jax.Array:
        q = model.posterior(scored, layer, below, x)
        return model.cost(params, layer, q, below, z, x, estimator.temperature)

    if settings.is_joint and model.depth > 1:
        return _joint_loss(model, params, estimator, key, x, cost)
    if settings.sees_one_value and model.depth > 1:
        return _sequential_loss(
            model, params, control_variates, estimator, key, x, cost
        )
    return _nested_loss(model, params, control_variates, estimator, key, x, cost)


def _sequential_loss(
    model: LayeredModel,
    params: Params,
    control_variates: Params,
    estimator: EstimatorAtStep,
    key: jax.Array,
    x: jax.Array,
    cost: Cost,
) -> jax.Array:
    """For estimators that know of the costs above a layer no more than their sum."""

    def run(
        sample: Callable[..., jax.Array],
        charge: Callable[[jax.Array], None],
        x: jax.Array,
    ) -> None:
        below = x
        for layer in range(model.depth):
            q = model.posterior(params, layer, below, x)
            # Before the sample, which it does not depend on.
            charge(model.divergence(params, layer, q))
            transform = functools.partial(
                estimator.transform, control_variate=control_variates[f"layer_{layer}"]
            )
            z = sample(transform, q, model.inputs(layer, below, x))
            charge(cost(layer, below, z))
            below = z

    return estimator.settings.repeated(jd.program(run))(key, x)


def _nested_loss(
    model: LayeredModel,
    params: Params,
    control_variates: Params,
    estimator: EstimatorAtStep,
    key: jax.Array,
    x: jax.Array,
    cost: Cost,
) -> jax.Array:
    """For estimators of one layer, each in the objective of the layer below."""
    keys = jax.random.split(key, model.depth)

    def softened(layer: int, below: jax.Array) -> jax.Array:
        """The costs from a layer on, with one relaxed sample per layer."""
        if layer == model.depth:
            return jnp.zeros(())
        q = model.posterior(params, layer, below, x)
        cv = control_variates[f"layer_{layer}"]
        zeta = q.relaxed_sample(keys[layer])
        z = estimator.settings.soften(q, zeta, jax.lax.stop_gradient(cv))
        return cost(layer, below, z) + softened(layer + 1, z)

    def expected(layer: int, below: jax.Array) -> jax.Array:
        """The estimate of the costs from a layer on."""
        if layer == model.depth:
            return jnp.zeros(())
        q = model.posterior(params, layer, below, x)

        def f(z: jax.Array, inputs: jax.Array) -> jax.Array:
            del inputs
            return cost(layer, below, z) + expected(layer + 1, z)

        def relaxed_f(z: jax.Array, inputs: jax.Array) -> jax.Array:
            del inputs
            return cost(layer, below, z) + softened(layer + 1, z)

        is_nested = layer + 1 < model.depth and estimator.settings.looks_below
        estimate = estimator.build(
            f,
            control_variates[f"layer_{layer}"],
            relaxed_f if is_nested else None,
        )
        value = estimate(keys[layer], q, model.inputs(layer, below, x))
        return model.divergence(params, layer, q) + value

    return expected(0, x)


def _joint_loss(
    model: LayeredModel,
    params: Params,
    estimator: EstimatorAtStep,
    key: jax.Array,
    x: jax.Array,
    cost: Cost,
) -> jax.Array:
    """For estimators of several samples, which nested would be a tree of samples."""

    def f(samples: list[jax.Array]) -> jax.Array:
        total, below = jnp.zeros(()), x
        for layer, z in enumerate(samples):
            q = model.posterior(params, layer, below, x)
            total += model.divergence(params, layer, q) + cost(layer, below, z)
            below = z
        return total

    return estimator.build(f, {})(key, Chain(model, params, x))
