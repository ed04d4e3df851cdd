r"""How gradient estimates grow: with the number of variables, and with an offset.

For n Bernoulli variables at 1/2 and :math:`f(z) = \sum_i (z_i - t)^2 + c` the exact
gradient has a norm of order :math:`\sqrt n`. That of an estimate grows with a power of
n of its own, and where f is not compared with anything, with c.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from jaxdiscrete.experiments.config.grid import RandomSearch
from jaxdiscrete.experiments.errors import RunError
from jaxdiscrete.experiments.estimators.base import Estimator
from jaxdiscrete.experiments.output.records import (
    Curves,
    MeasuredRun,
    Statistic,
    make_band,
    summarise,
)
from jaxdiscrete.experiments.runs.untrained import untrained
from jaxdiscrete.experiments.settings.fields import flatten

#: Most variables whose gradients are computed at a time.
CHUNK = 20_000
#: A variance that is smaller, relative to the squared gradient, is rounding.
ROUNDING = 1e-6


class Power(NamedTuple):
    """A straight line through logarithms."""

    exponent: float
    standard_error: float


def measure(
    grid: RandomSearch, estimators: dict[str, Estimator]
) -> dict[str, MeasuredRun]:
    """Measures every estimator at every size, and at one of them with offsets.

    Args:
      grid: sizes and offsets.
      estimators: by run.

    Returns:
      By run: ``exponent`` of the root mean square of the gradient's norm against the
      number of variables, and ``variance_ratio`` between the two largest offsets,
      except for gradients that are not random; the values behind both as ``against``.

    Raises:
      RunError: if a gradient is not finite.
    """
    return {name: _measure_one(name, e, grid) for name, e in estimators.items()}


def _measure_one(name: str, estimator: Estimator, grid: RandomSearch) -> MeasuredRun:
    norms, variances = [], []
    for size in grid.sizes:
        offsets = grid.offsets if size == grid.offset_size else grid.offsets[:1]
        each = _gradients(estimator, grid, size, offsets)
        if not np.isfinite(each).all():
            raise RunError(
                f"Expected finite gradients of {name}, got others with {size} "
                "variables. Change its settings."
            )
        # Without an offset, unless there is always one.
        norms.append(_root_mean_square(each[0]))
        if size == grid.offset_size:
            is_random = each[0].var(0).mean() > ROUNDING * np.square(each[0]).mean()
            variances = [float(g.var(0, ddof=1).mean()) for g in each if is_random]
    power = fit_power(grid.sizes, norms)
    exponent = Statistic(power.exponent, power.standard_error, (power.exponent,))
    final = {"exponent": exponent}
    against = {"variables": Curves(grid.sizes, {"gradient_norm": make_band(norms)})}
    if variances:
        final["variance_ratio"] = summarise([variances[-1] / variances[-2]])
        band = make_band([summarise([v]) for v in variances])
        against["offset"] = Curves(grid.offsets, {"variance": band})
    return MeasuredRun(
        estimator=estimator.name,
        calls_of_f=estimator.calls_of_f(grid.sizes[-1], 2),
        settings=flatten(grid, "grid.") | flatten(estimator, "estimator."),
        final=final,
        curves=Curves((), {}),
        against=against,
    )


def _gradients(
    estimator: Estimator, grid: RandomSearch, size: int, offsets: tuple[int, ...]
) -> np.ndarray:
    """Gradients with equal keys for all offsets, ``[offsets, gradients, size]``."""
    transform, q = untrained(estimator), jd.Bernoulli(jnp.zeros(size))

    @jax.jit
    def gradients(keys: jax.Array, offset: jax.Array) -> jax.Array:
        estimate = transform(lambda z: jnp.sum((z - grid.target) ** 2) + offset)
        gradient = jax.grad(estimate, argnums=1)
        # Chunks of equal size: a shorter last one would be compiled on its own.
        most = max(1, CHUNK // size)
        chunk = max(d for d in range(1, most + 1) if grid.num_gradients % d == 0)
        each: jax.Array = jax.lax.map(
            lambda key: gradient(key, q).logits, keys, batch_size=chunk
        )
        return each

    keys = jax.random.split(jax.random.key(grid.seed), grid.num_gradients)
    rows = [gradients(keys, jnp.asarray(c, jnp.float32)) for c in offsets]
    return np.stack([np.asarray(r, np.float64) for r in rows])


def _root_mean_square(gradients: np.ndarray) -> Statistic:
    """Of the Euclidean norm, with its standard error over samples."""
    squares = np.square(gradients).sum(axis=1)
    root = math.sqrt(squares.mean())
    error = squares.std(ddof=1) / math.sqrt(len(squares)) / (2.0 * root)
    return Statistic(root, float(error), (root,))


def fit_power(x: tuple[int, ...], y: list[Statistic]) -> Power:
    """The exponent b of ``y = a x^b``, by least squares on logarithms.

    Args:
      x: positive.
      y: positive means with standard errors, one per x.

    Returns:
      The exponent, and the standard error that those of y give it.
    """
    log_x = np.log(np.asarray(x, float))
    weights = log_x - log_x.mean()
    weights /= np.square(weights).sum()
    relative = np.array([(s.standard_error or 0.0) / s.mean for s in y])
    log_y = np.log([s.mean for s in y])
    return Power(float(weights @ log_y), float(np.linalg.norm(weights * relative)))
