"""One gradient step, many of them in one compiled call, and their start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxdiscrete.experiments.training.keys import Stream, stream
from jaxdiscrete.experiments.training.optimizer import apply_gradients, make_optimizer
from jaxdiscrete.experiments.training.state import (
    TrainState,
    init_moments,
    update_moments,
)
from jaxdiscrete.experiments.training.task import Metrics, Task


def init(task: Task) -> TrainState:
    """The state before the first step; the model's part ignores the estimator.

    Args:
      task: of the run.

    Returns:
      The state.
    """
    key_model, key_control_variate = jax.random.split(
        stream(task.config.seed, Stream.INIT)
    )
    model = task.init(key_model)
    control_variate = task.init_control_variates(model, key_control_variate)
    params = {"model": model, "control_variate": control_variate}
    opt_state = make_optimizer(task.config).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, opt_state, init_moments(model))


def step(
    task: Task, state: TrainState, chosen: Any, data: Any
) -> tuple[TrainState, Metrics]:
    """One gradient step on a batch.

    Args:
      task: of the run.
      state: before the step.
      chosen: which examples, an entry of ``task.batches``.
      data: as from ``task.data``.

    Returns:
      The state after it, and scalars that must be finite.
    """
    key = jax.random.fold_in(stream(task.config.seed, Stream.STEP), state.step)
    batch = step_batch(task, state.step, chosen, data)
    loss, grads = jax.value_and_grad(task.loss)(state.params, key, batch, state.step)
    params, opt_state = apply_gradients(
        make_optimizer(task.config), grads, state.opt_state, state.params
    )
    checked = {
        "loss": loss,
        "model gradient": optax.tree.norm(grads["model"]),
        "control variate gradient": optax.tree.norm(grads["control_variate"]),
    }
    moments = update_moments(state.moments, grads["model"])
    return TrainState(state.step + 1, params, opt_state, moments), checked


def step_batch(task: Task, count: jax.Array, chosen: Any, data: Any) -> Any:
    """The examples of a step.

    Args:
      task: of the run.
      count: the step.
      chosen: which examples, an entry of ``task.batches``.
      data: as from ``task.data``.

    Returns:
      As from ``task.batch``.
    """
    key = jax.random.fold_in(stream(task.config.seed, Stream.PIXELS), count)
    return task.batch(key, chosen, data)


def block(
    task: Task, state: TrainState, data: Any
) -> tuple[TrainState, Metrics, Metrics]:
    """Many steps, and the metrics at their end.

    Args:
      task: of the run.
      state: before the block.
      data: as from ``task.data``.

    Returns:
      The state after the block, what must be finite at every step, and the metrics.
    """
    num_steps = task.config.training.steps_per_block
    state, checked = jax.lax.scan(
        lambda state, chosen: step(task, state, chosen, data),
        state,
        task.batches(state.step, num_steps, data),
    )
    return state, checked, task.metrics(state, checked["loss"], data)


def compile_block(task: Task, state: TrainState, data: Any) -> Callable[..., Any]:
    """Compiles :func:`block` of a task ahead of its first call.

    Args:
      task: of the run.
      state: any state of this run.
      data: as from ``task.data``.

    Returns:
      The compiled function of state and data.
    """
    run = task.placement.jit(
        lambda state, data: block(task, state, data), donate_argnums=0
    )
    compiled: Callable[..., Any] = run.lower(state, data).compile()
    return compiled
