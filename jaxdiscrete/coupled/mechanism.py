"""Several coupled samples of one q, and a gradient made from all of them.

Each sample alone has the distribution q, so that their mean value and its pathwise
gradient are unbiased; what the estimators differ in is how the samples depend on one
another, and the weights by which that dependence is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.batches import check_chunk_size, over_batch, place
from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.latents import freeze, specs_of_samples
from jaxdiscrete.core.needs import Needs
from jaxdiscrete.core.objective import ObjectiveWithAux, as_signal
from jaxdiscrete.core.placed import WHOLE, automatically, first_axis_whole, specs_of
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.sample import SEVERAL_SAMPLES
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.core.varying import freeze_varying


def coupled(
    name: str,
    f: Objective,
    *,
    sample: Callable[[jax.Array, PyTree], tuple[PyTree, Any]],
    gradient: Callable[[PyTree, PyTree, Any, jax.Array], PyTree],
    needs: Needs,
    chunk_size: int | None,
    sharding: jax.sharding.Sharding | None,
    has_aux: bool,
    reduce: Callable[[jax.Array], jax.Array] = jnp.mean,
    check: Callable[[PyTree, PyTree, tuple[Any, ...]], None] | None = None,
) -> Estimator:
    """Builds an estimator from how its samples are drawn and weighted.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective.
      sample: ``(key, q) -> (z, noise)``, for the frozen q: coupled samples along a
        leading axis, and whatever else ``gradient`` needs.
      gradient: ``(q, z, noise, signals) -> g``: a pytree of q's structure. ``signals``
        are the stopped values of f, one per sample, in at least float32.
      needs: what it needs of the distributions in q.
      chunk_size: at how many samples f runs at a time, None for all. Static.
      sharding: of the sample axis; None leaves it to the compiler.
      has_aux: whether f returns ``(value, aux)``.
      reduce: from the values of f to the value of the estimate. Default: their mean.
      check: ``(q, shapes of z, args)``, raises before any compute.

    Returns:
      ``estimate(key, q, *args)``.
    """
    check_chunk_size(name, chunk_size)

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        specs = (specs_of_samples(q), WHOLE)
        z, noise = freeze(automatically(sample, key, freeze(q), out=specs))
        values, aux = over_batch(
            lambda x: objective(x, *args), place(z, sharding), chunk_size
        )
        values = first_axis_whole(values)
        signals = as_signal(values)
        frozen_q = freeze_varying(q, signals[0])
        g = automatically(gradient, frozen_q, z, noise, signals, out=specs_of(q))
        value = reduce(values)
        leaves = jax.tree.leaves(q)
        return attach_gradient(value, leaves, jax.tree.leaves(freeze(g))), aux

    return estimator(
        name,
        f,
        body,
        needs=needs,
        has_aux=has_aux,
        draws_its_own=SEVERAL_SAMPLES,
        check=check,
    )
