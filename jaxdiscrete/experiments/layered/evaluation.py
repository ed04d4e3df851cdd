"""Bounds on the log-likelihood with hard samples, in bounded memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.layered.model import LayeredModel
from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.training.images import Bounds

#: Samples that are alive at once, images times samples per image.
CHUNK = 2_000


def evaluate(
    model: LayeredModel,
    params: Params,
    key: jax.Array,
    x: jax.Array,
    num_samples: int,
) -> Bounds:
    """The single-sample and the importance-weighted bound of every image.

    Memory is that of :data:`CHUNK` samples, however many images and samples there are.

    Args:
      model: as from its ``hardened``.
      params: its parameters.
      key: PRNG key.
      x: images ``[images, pixels]``.
      num_samples: samples per image. Static.

    Returns:
      The mean over samples of the log weight, and the log-mean-exp of it: with more
      samples a tighter bound.
    """
    rounds = -(-num_samples // CHUNK)
    sizes = [num_samples // rounds + (i < num_samples % rounds) for i in range(rounds)]

    def one(key: jax.Array, x: jax.Array) -> Bounds:
        keys = jax.random.split(key, rounds)
        parts = [
            log_weights(model, params, k, x, size)
            for k, size in zip(keys, sizes, strict=True)
        ]
        weights = jnp.concatenate(parts)
        bound = jax.nn.logsumexp(weights) - jnp.log(float(num_samples))
        return Bounds(weights.mean(), bound)

    keys = jax.random.split(key, len(x))
    batch = max(1, CHUNK // num_samples)
    return jax.lax.map(lambda args: one(*args), (keys, x), batch_size=batch)


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
