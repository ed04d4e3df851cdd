"""The training loss of a chain of latent layers, by nested estimators.

The loss of one example is the sum of the layers' costs. Layer l has an estimator whose
objective is its own cost plus the estimate of the layers above, so that its signal is
local: what lies below has dropped out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import (
    ControlVariate,
    Estimator,
    LatentSpec,
)
from jaxdiscrete.experiments.layered.model import LayeredModel

Params = Any


class EstimatorAtStep(NamedTuple):
    """An estimator at a training step, which its schedules need."""

    settings: Estimator
    step: jax.Array

    def build(
        self, f: Any, control_variate: ControlVariate, relaxed_f: Any = None
    ) -> jd.Estimator:
        """The estimator of a layer; as :meth:`Estimator.build`."""
        return self.settings.build(f, control_variate, self.step, relaxed_f)

    @property
    def temperature(self) -> jax.Array:
        """Temperature of the relaxed sample's density."""
        return self.settings.temperature_at(self.step)


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
    keys = jax.random.split(key, model.depth)
    # The score function has mean zero, and as the direct derivative of log q it would
    # be noise alone; a pathwise estimator needs that derivative.
    scored = params if estimator.settings.is_pathwise else jax.lax.stop_gradient(params)

    def cost(layer: int, below: jax.Array, z: jax.Array) -> jax.Array:
        q = model.posterior(scored, layer, below, x)
        return model.cost(params, layer, q, below, z, x, estimator.temperature)

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

    if estimator.settings.is_bound:
        return _bound_loss(model, params, control_variates, estimator, key, x)
    if estimator.settings.is_joint and model.depth > 1:
        return _joint_loss(model, params, estimator, key, x, cost)
    return expected(0, x)


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


def sample_layers(
    model: LayeredModel, params: Params, key: jax.Array, x: jax.Array
) -> list[jax.Array]:
    """Hard samples of all layers for one example.

    Args:
      model: the model.
      params: its parameters.
      key: PRNG key.
      x: one image.

    Returns:
      One sample per layer, that next to the image first.
    """
    below, samples = x, []
    for layer, layer_key in enumerate(jax.random.split(key, model.depth)):
        below = model.posterior(params, layer, below, x).sample(layer_key)
        samples.append(below)
    return samples


class _Chain:
    """All layers together, as one sampler."""

    def __init__(self, model: LayeredModel, params: Params, x: jax.Array) -> None:
        self.model, self.params, self.x = model, params, x

    def sample(self, key: jax.Array) -> list[jax.Array]:
        return sample_layers(self.model, self.params, key, self.x)

    def log_prob(self, samples: list[jax.Array]) -> jax.Array:
        total, below = jnp.zeros(()), self.x
        for layer, z in enumerate(samples):
            q = self.model.posterior(self.params, layer, below, self.x)
            total += jnp.sum(q.log_prob(z))
            below = z
        return total


def _joint_loss(
    model: LayeredModel,
    params: Params,
    estimator: EstimatorAtStep,
    key: jax.Array,
    x: jax.Array,
    cost: Any,
) -> jax.Array:
    """For estimators of several samples, which nested would be a tree of samples."""

    def f(samples: list[jax.Array]) -> jax.Array:
        total, below = jnp.zeros(()), x
        for layer, z in enumerate(samples):
            q = model.posterior(params, layer, below, x)
            total += model.divergence(params, layer, q) + cost(layer, below, z)
            below = z
        return total

    return estimator.build(f, {})(key, _Chain(model, params, x))


def _bound_loss(
    model: LayeredModel,
    params: Params,
    control_variates: Params,
    estimator: EstimatorAtStep,
    key: jax.Array,
    x: jax.Array,
) -> jax.Array:
    """For bounds of several samples, which are maximised: the negative bound."""

    def log_weight(z: Any, inputs: jax.Array) -> jax.Array:
        del inputs
        samples, total, below = [z] if model.depth == 1 else z, jnp.zeros(()), x
        for layer, sample in enumerate(samples):
            q = model.posterior(params, layer, below, x)
            total -= model.cost(params, layer, q, below, sample, x, 1.0)
            below = sample
        return total

    # One layer keeps its distribution, of which some estimators ask more than samples.
    q: Any = _Chain(model, params, x)
    if model.depth == 1:
        q = model.posterior(params, 0, x, x)
    estimate = estimator.build(log_weight, control_variates["layer_0"])
    return -estimate(key, q, model.inputs(0, x, x))


def log_weights(
    model: LayeredModel,
    params: Params,
    key: jax.Array,
    x: jax.Array,
    num_samples: int,
) -> jax.Array:
    """Log importance weights of hard samples of one example.

    Args:
      model: as from its ``hardened``.
      params: its parameters.
      key: PRNG key.
      x: one image.
      num_samples: how many. Static.

    Returns:
      ``[num_samples]``, whose mean estimates the single-sample bound and whose
      log-mean-exp the bound of ``num_samples``.
    """

    def one(key: jax.Array) -> jax.Array:
        total, below = jnp.zeros(()), x
        for layer, layer_key in enumerate(jax.random.split(key, model.depth)):
            q = model.posterior(params, layer, below, x)
            z = q.sample(layer_key)
            total -= model.cost(params, layer, q, below, z, x, 1.0)
            below = z
        return total

    return jax.vmap(one)(jax.random.split(key, num_samples))
