"""The toy problem of REBAR and RELAX: one Bernoulli variable, one number to learn."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdiscrete as jd
from jaxdiscrete.experiments.diagnostics import check_finite
from jaxdiscrete.experiments.estimators import Estimation, Example, find_estimator
from jaxdiscrete.experiments.schedules import make_optimizer
from jaxdiscrete.experiments.settings import ToyConfig


def train(config: ToyConfig, num_seeds: int) -> list[dict[str, Any]]:
    """Trains the variable, all seeds in one compiled program.

    Args:
      config: a checked configuration.
      num_seeds: runs, from the configured seed on.

    Returns:
      A row every ``steps_per_point`` steps: ``step``, and lists with an entry a seed
      of ``theta``, the probability of a one, of ``loss``, its exact expectation, and
      of ``log_variance``, the natural logarithm of the gradient's variance.

    Raises:
      RunError: if a value is not finite.
    """
    entry, settings = find_estimator(config.estimator.name), config.estimator
    optimizer = make_optimizer(config.optimizer, entry.moving_averages)
    nothing = jnp.zeros(0)

    def objective(z: jax.Array, inputs: jax.Array) -> jax.Array:
        del inputs
        return jnp.square(z - config.target)

    def loss(params: Any, key: jax.Array, step: jax.Array) -> jax.Array:
        cv = params["control_variate"]["layer_0"]
        estimate = Estimation(entry, settings, step).build(objective, cv)
        return estimate(key, jd.Bernoulli(params["model"]), nothing)

    def init(key: jax.Array) -> Any:
        example = Example(jnp.zeros(()), (), nothing)
        cv = entry.init(key, settings, example)
        model = jnp.asarray(config.logit, jnp.float32)
        params = {"model": model, "control_variate": {"layer_0": cv}}
        return params, optimizer.init(params)

    def step(carry: Any, inputs: Any) -> tuple[Any, None]:
        params, opt_state = carry
        key, count = inputs
        grads = jax.grad(loss)(params, key, count)
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    def point(carry: Any, inputs: Any) -> tuple[Any, dict[str, jax.Array]]:
        key, first = inputs
        key_steps, key_variance = jax.random.split(key)
        counts = first + jnp.arange(config.steps_per_point)
        keys = jax.random.split(key_steps, config.steps_per_point)
        carry, _ = jax.lax.scan(step, carry, (keys, counts))
        params = carry[0]

        def gradient(key: jax.Array) -> jax.Array:
            return jax.grad(loss)(params, key, counts[-1])["model"]

        keys = jax.random.split(key_variance, config.num_variance_samples)
        # Two passes in float32, and a floor for variances that round to zero.
        variance = jax.vmap(gradient)(keys).var(ddof=1)
        theta = jax.nn.sigmoid(params["model"])
        target = config.target
        exact = theta * (1.0 - target) ** 2 + (1.0 - theta) * target**2
        floor = jnp.finfo(variance.dtype).tiny
        return carry, {
            "theta": theta,
            "loss": exact,
            "log_variance": jnp.log(jnp.maximum(variance, floor)),
        }

    num_points = config.num_steps // config.steps_per_point

    def run(seed: jax.Array) -> dict[str, jax.Array]:
        key_init, key_run = jax.random.split(jax.random.key(seed))
        firsts = config.steps_per_point * jnp.arange(num_points)
        inputs = (jax.random.split(key_run, num_points), firsts)
        return jax.lax.scan(point, init(key_init), inputs)[1]

    seeds = jnp.arange(config.seed, config.seed + num_seeds)
    curves = jax.jit(jax.vmap(run))(seeds)
    rows = []
    for i in range(num_points):
        row = {name: np.asarray(values)[:, i] for name, values in curves.items()}
        done = (i + 1) * config.steps_per_point
        check_finite(done, row, "Lower optimizer.learning_rate.")
        rows.append({"step": done, **{k: v.tolist() for k, v in row.items()}})
    return rows
