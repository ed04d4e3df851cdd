"""Estimators as the library has them, from the settings of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import Estimator, LatentSpec


def untrained(estimator: Estimator) -> Callable[[Any], jd.Estimator]:
    """The transform of variables without inputs, its control variate as it starts.

    Args:
      estimator: its settings.

    Returns:
      ``transform(f) -> estimate``.
    """

    def transform(f: Any) -> jd.Estimator:
        step, nothing = jnp.zeros((), jnp.int32), jnp.zeros(0)

        def estimate(key: jax.Array, q: Any) -> jax.Array:
            latents = LatentSpec(jnp.zeros_like(q.mean()), q.batch_shape, nothing)
            cv = estimator.init(jax.random.key(0), latents)
            built = estimator.build(lambda z, inputs: f(z), cv, step)
            value: jax.Array = built(key, q, nothing)
            return value

        return estimate

    return transform
