"""f at a sample that is differentiable in the parameters of q."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.latents import (
    broadcast_to_latents,
    flatten,
    freeze,
    log_odds,
    map_latents,
    split_over_latents,
)
from jaxdiscrete.core.needs import RELAXABLE, Needs
from jaxdiscrete.core.objective import ObjectiveWithAux
from jaxdiscrete.core.placed import automatically, spec_of
from jaxdiscrete.core.sample import RELAXED_SAMPLES
from jaxdiscrete.core.typing import (
    Estimator,
    Finite,
    Objective,
    PyTree,
    Relaxable,
)


def pathwise(
    name: str,
    f: Objective,
    sample: Callable[[jax.Array, PyTree], PyTree],
    *,
    needs: Needs = RELAXABLE,
    has_aux: bool = False,
) -> Estimator:
    """Builds an estimator from a sample that is differentiable in q's parameters.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective.
      sample: ``(key, q) -> z``, in the shapes and dtypes of a hard sample.
      needs: what ``sample`` needs of the distributions in q.
      has_aux: whether f returns ``(value, aux)``.

    Returns:
      ``estimate(key, q, *args)``, f at the sample.
    """

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        return objective(sample(key, q), *args)

    return estimator(
        name,
        f,
        body,
        needs=needs,
        has_aux=has_aux,
        at=sample,
        differentiates=True,
        draws_its_own=RELAXED_SAMPLES,
    )


def hard_forward(hard: PyTree, soft: PyTree) -> PyTree:
    """The hard values with the derivative of the soft ones."""
    # Grouped so that the added term is exactly zero and hard samples stay exact.
    return jax.tree.map(lambda h, s: h + (s - jax.lax.stop_gradient(s)), hard, soft)


def moving_location(d: Relaxable) -> jax.Array:
    """Zero, with the derivative of the location; masked classes do not move."""
    location = d.location()
    finite = jnp.where(jnp.isneginf(location), 0.0, location)
    return finite - jax.lax.stop_gradient(finite)


def relaxed(
    q: PyTree, zeta: PyTree, temperature: PyTree, what: str = "temperature"
) -> PyTree:
    """The relaxed samples that belong to pre-squashed ones."""
    fitted = broadcast_to_latents(what, temperature, q)
    return map_latents(lambda d, x, t: d.relax(x, t), q, zeta, fitted)


def moving_log_probabilities(d: Finite) -> jax.Array:
    """Zero, with the derivative of the log-probabilities that are not masked."""
    table = d.log_probabilities()
    finite = jnp.where(jnp.isneginf(table), 0.0, table)
    return finite - jax.lax.stop_gradient(finite)


def moving_log_odds(d: Finite) -> jax.Array:
    """Zero, with the derivative of the log-odds where no class is masked."""
    odds = log_odds(d)
    finite = jnp.where(jnp.isinf(odds), 0.0, odds)
    return finite - jax.lax.stop_gradient(finite)


def map_like_samples(fn: Callable[..., jax.Array], z: PyTree, *trees: PyTree) -> PyTree:
    """``map_latents``, with results that are split over devices as samples are.

    Args:
      fn: of a distribution and entries, arrays that it takes as arguments alone.
      z: one sample of each distribution.
      trees: pytree of distributions, and what stands in their place.

    Returns:
      The results, in the structure of z.
    """
    q, *rest = trees
    return map_latents(
        lambda d, x, *entries: automatically(fn, d, *entries, out=spec_of(x)),
        q,
        z,
        *rest,
    )


def mean_of_classes(d: Finite, weights: jax.Array) -> jax.Array:
    """The sum over classes of their samples, weighted.

    Args:
      d: a distribution with classes.
      weights: ``[*batch_shape, num_classes]``.

    Returns:
      An array of the shape and dtype of a sample.
    """
    classes = jnp.arange(d.num_classes, dtype=jnp.int32)
    samples = jax.vmap(lambda c: d.from_classes(jnp.full(d.batch_shape, c)))(classes)
    samples = freeze(samples)
    weights = jnp.moveaxis(weights, -1, 0)
    extra = (1,) * (samples.ndim - weights.ndim)
    weights = weights.reshape(*weights.shape, *extra)
    total = jnp.sum(weights * samples.astype(weights.dtype), axis=0)
    return total.astype(samples.dtype)


def temperature_per_variable(name: str, value: PyTree, q: PyTree) -> PyTree:
    """One temperature per distribution, ready to meet its log-probabilities.

    Args:
      name: what ``value`` is, for the error message.
      value: one number, an array of the latent's batch shape, or a pytree of those
        with the structure of ``q``.
      q: pytree of distributions with classes.
    """
    leaves, treedef = flatten(q)
    fitted = []
    for d, t in zip(leaves, split_over_latents(name, value, q), strict=True):
        shape = np.shape(t)
        if shape not in ((), d.batch_shape):
            raise ValueError(
                f"Expected {name} to be one number or an array of the latent's batch "
                f"shape {d.batch_shape}, got shape {shape}. Nothing is broadcast: give "
                "one entry per variable."
            )
        fitted.append(jnp.asarray(t)[..., None] if shape else t)
    return jax.tree.unflatten(treedef, fitted)


def tempered(table: jax.Array, temperature: ArrayLike) -> jax.Array:
    """Softmax of log-probabilities over a temperature; masked classes stay at zero."""
    # The derivative of -inf / t is inf * 0: masked classes leave before the division.
    is_masked = jnp.isneginf(table)
    finite = jnp.where(is_masked, 0.0, table)
    scaled = finite / jnp.asarray(temperature).astype(table.dtype)
    return jax.nn.softmax(jnp.where(is_masked, -jnp.inf, scaled), axis=-1)
