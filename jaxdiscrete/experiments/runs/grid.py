"""Untrained estimators of gradients that are known."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

import jaxdiscrete as jd
from jaxdiscrete.experiments.config.grid import Cosine, MeasuredGrid, RandomSearch
from jaxdiscrete.experiments.errors import RunError
from jaxdiscrete.experiments.estimators.base import Estimator
from jaxdiscrete.experiments.output.records import (
    Curves,
    MeasuredRun,
    Statistic,
    summarise,
)
from jaxdiscrete.experiments.runs import random_search
from jaxdiscrete.experiments.runs.untrained import untrained
from jaxdiscrete.experiments.settings.fields import flatten

#: Gradients that are computed at a time.
CHUNK = 50_000


def cosine(z: jax.Array) -> jax.Array:
    """The cosine of the class index, and of its expectation where z is relaxed.

    Args:
      z: one-hot or on the simplex, ``[classes]``.

    Returns:
      A scalar.
    """
    return jnp.cos(jnp.dot(z, jnp.arange(z.shape[0], dtype=z.dtype)))


def measure_grid(grid: MeasuredGrid, screen: Console) -> dict[str, MeasuredRun]:
    """Measures every estimator of a grid.

    Of the cosine at every temperature, against the exact gradient. A bias is the
    Euclidean norm of mean minus exact gradient. Its standard error is the root of the
    summed squared standard errors of the mean's coordinates, which is what an unbiased
    estimator shows in place of zero. The variance is averaged over the logits, its
    logarithm is natural.

    Args:
      grid: the problem and the estimators.
      screen: where it is said that something happens.

    Returns:
      By run: ``bias``, ``bias_in_standard_errors`` and ``log_variance``; of random
      search as from :func:`.random_search.measure`.

    Raises:
      RunError: if a gradient is not finite.
    """
    screen.print(f"{len(grid.runs)} estimators of {grid.description}")
    if isinstance(grid.settings, RandomSearch):
        return random_search.measure(grid.settings, grid.runs)
    try:
        measured = measure(grid)
    except FloatingPointError as error:
        raise RunError(str(error)) from None
    return {
        name: as_run(estimator, grid, measured.estimators[name])
        for name, estimator in grid.runs.items()
    }


def measure(grid: MeasuredGrid) -> jd.Measurement:
    """The measurement behind :func:`measure_grid`.

    Args:
      grid: the problem and the estimators.

    Returns:
      As from :func:`jaxdiscrete.measure`.
    """
    assert isinstance(grid.settings, Cosine)
    return jd.measure(
        {name: untrained(estimator) for name, estimator in grid.runs.items()},
        jax.random.key(grid.seed),
        jd.OneHotCategorical(jnp.asarray(grid.settings.logits, jnp.float32)),
        f=cosine,
        num_gradients=grid.num_gradients,
        chunk_size=CHUNK,
    )


def as_run(estimator: Estimator, grid: MeasuredGrid, found: Any) -> MeasuredRun:
    bias = float(found.bias_norm)
    error = float(np.linalg.norm(found.standard_error))
    variance = summarise([float(np.log(np.mean(found.variance)))])
    return MeasuredRun(
        estimator=estimator.name,
        calls_of_f=found.calls,
        settings=flatten(grid.settings, "grid.") | flatten(estimator, "estimator."),
        final={
            "bias": Statistic(bias, error, (bias,)),
            "bias_in_standard_errors": summarise([bias / error if error else math.inf]),
            "log_variance": variance,
        },
        curves=Curves((), {}),
    )
