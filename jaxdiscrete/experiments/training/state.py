"""The training state, the gradient variance in it, and what must be finite."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.errors import RunError

VARIANCE_DECAY = 0.999


class Moments(NamedTuple):
    """Moving averages of a gradient and of its square, entry by entry."""

    mean: Any
    square: Any


class TrainState(NamedTuple):
    """All that changes in training, and so all that a checkpoint holds."""

    step: jax.Array
    params: Any
    opt_state: Any
    moments: Moments


def init_moments(params: Any) -> Moments:
    """Moments before the first gradient.

    Args:
      params: of the shapes of the gradient.

    Returns:
      Zeros.
    """
    zeros = jax.tree.map(jnp.zeros_like, params)
    return Moments(zeros, zeros)


def update_moments(moments: Moments, gradient: Any) -> Moments:
    """Moments after one more gradient.

    Args:
      moments: before it.
      gradient: of one step.

    Returns:
      The averages with decay :data:`VARIANCE_DECAY`.
    """

    def average(old: jax.Array, new: jax.Array) -> jax.Array:
        return old + (1.0 - VARIANCE_DECAY) * (new - old)

    return Moments(
        jax.tree.map(average, moments.mean, gradient),
        jax.tree.map(lambda s, g: average(s, g * g), moments.square, gradient),
    )


def log_variance(moments: Moments, step: jax.Array) -> jax.Array:
    """The natural logarithm of the gradient variance, averaged over its entries.

    The moments are corrected for their start at zero. The variance is that of a whole
    step: of samples, and of the batch that was drawn.

    Args:
      moments: after at least one gradient; of all parameters or of some.
      step: how many gradients there were.

    Returns:
      A scalar.
    """
    correction = 1.0 - VARIANCE_DECAY ** step.astype(jnp.float32)
    total, count = jnp.zeros(()), 0
    means, squares = jax.tree.leaves(moments.mean), jax.tree.leaves(moments.square)
    for m, s in zip(means, squares, strict=True):
        total += jnp.sum(s / correction - jnp.square(m / correction))
        count += m.size
    # After one step the two moments agree up to rounding.
    return jnp.log(jnp.maximum(total / count, jnp.finfo(total.dtype).tiny))


def gradient_log_variance(gradients: Any) -> jax.Array:
    """The natural logarithm of the variance of several gradients of one state.

    Args:
      gradients: a pytree with the gradients first.

    Returns:
      A scalar, of the variance that is averaged over the entries.
    """
    # Two passes in float32, and a floor for variances that round to zero.
    leaves = jax.tree.leaves(jax.tree.map(lambda g: g.var(0, ddof=1), gradients))
    mean = jnp.concatenate([jnp.ravel(x) for x in leaves]).mean()
    return jnp.log(jnp.maximum(mean, jnp.finfo(mean.dtype).tiny))


def log_variances(moments: Moments, step: jax.Array) -> dict[str, jax.Array]:
    """Logarithms of the gradient variance, of all parameters and of the encoder.

    Args:
      moments: of the gradient of a model's parameters.
      step: how many gradients there were.

    Returns:
      Scalars by metric; that of the encoder where the model has one.
    """
    variances = {"log_variance": log_variance(moments, step)}
    if "encoder" in moments.mean:
        encoder = Moments(moments.mean["encoder"], moments.square["encoder"])
        variances["encoder_log_variance"] = log_variance(encoder, step)
    return variances


def check_finite(first_step: int, checked: dict[str, Any], remedy: str) -> None:
    """Stops a run at its first value that is not finite.

    Args:
      first_step: the step of the first entries.
      checked: arrays with one entry per step, or scalars of the last step.
      remedy: what to do, the end of the error message.

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
            f"Expected finite values, got {name} = {value} at step {step}. {remedy}"
        )
