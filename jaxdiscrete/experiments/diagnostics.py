"""The training state and what is read off it: gradient variance, divergence."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.errors import RunError

VARIANCE_DECAY = 0.999


class TrainState(NamedTuple):
    """All that changes in training, and so all that a checkpoint holds."""

    step: jax.Array
    params: Any
    opt_state: Any
    gradient_mean: Any
    gradient_square: Any


def log_variance(state: TrainState) -> jax.Array:
    """The natural logarithm of the gradient variance, averaged over the encoder.

    First and second moments of every entry of the encoder's gradient are moving
    averages with decay 0.999, corrected for their start at zero. The variance is
    that of a whole step: of samples, and of the batch that was drawn.

    Args:
      state: after at least one step.

    Returns:
      A scalar.
    """
    correction = 1.0 - VARIANCE_DECAY ** state.step.astype(jnp.float32)
    total, count = jnp.zeros(()), 0
    means = jax.tree.leaves(state.gradient_mean)
    for m, s in zip(means, jax.tree.leaves(state.gradient_square), strict=True):
        total += jnp.sum(s / correction - jnp.square(m / correction))
        count += m.size
    # After one step the two moments agree up to rounding.
    return jnp.log(jnp.maximum(total / count, jnp.finfo(total.dtype).tiny))


def check_finite(first_step: int, checked: dict[str, Any]) -> None:
    """Stops a run at its first value that is not finite.

    Args:
      first_step: the step of the first entries.
      checked: arrays with an entry a step, or scalars of the last step.

    Raises:
      RunError: naming the step and the quantity.
    """
    found: list[tuple[int, str, float]] = []
    for name, values in checked.items():
        values = np.atleast_1d(np.asarray(values))
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            found.append((first_step + int(bad[0]), name, float(values[bad[0]])))
    if found:
        step, name, value = min(found, key=lambda item: item[0])
        raise RunError(
            f"Expected finite values, got {name} = {value} at step {step}. Lower "
            "optimizer.learning_rate or optimizer.control_variate_learning_rate and "
            "start again with --overwrite."
        )
