"""Bias and variance against temperature, on an expectation with an exact gradient.

The objective is :math:`E[\\cos z]` for one categorical z in {0, ..., K - 1}.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.experiments import figures, files
from jaxdiscrete.experiments.settings import StudyConfig

#: Of the estimators that take several; the variance is that of their mean.
NUM_SAMPLES = 4
#: Estimators of the study, as functions of the objective and the temperature.
WITH_TEMPERATURE: dict[str, Callable[[Any, Any], jd.Estimator]] = {
    "gumbel_softmax": lambda f, t: jd.gumbel_softmax(f, temperature=t),
    "straight_through_gumbel_softmax": (
        lambda f, t: jd.straight_through_gumbel_softmax(f, temperature=t)
    ),
    "rebar": lambda f, t: jd.rebar(f, temperature=t, scale=1.0),
}
WITHOUT_TEMPERATURE: dict[str, Callable[[Any], jd.Estimator]] = {
    "straight_through": jd.straight_through,
    "reinforce": jd.reinforce,
    "reinforce_loo": lambda f: jd.reinforce_loo(f, num_samples=NUM_SAMPLES),
    "reinforce_optimal_baseline": (
        lambda f: jd.reinforce_optimal_baseline(f, num_samples=NUM_SAMPLES)
    ),
    "muprop": jd.muprop,
}
UNBIASED = frozenset(
    {"rebar", "reinforce", "reinforce_loo", "reinforce_optimal_baseline", "muprop"}
)


class Moments(NamedTuple):
    """Mean and variance of a gradient estimate, one entry a logit."""

    mean: jax.Array
    variance: jax.Array


def objective(z: jax.Array) -> jax.Array:
    """The cosine of the class index, and of its expectation where z is relaxed.

    Args:
      z: one-hot or on the simplex, ``[K]``.

    Returns:
      A scalar.
    """
    return jnp.cos(jnp.dot(z, jnp.arange(z.shape[0], dtype=z.dtype)))


def exact(config: StudyConfig) -> tuple[jax.Array, jax.Array]:
    """The expectation and its gradient by enumeration.

    Args:
      config: of the study.

    Returns:
      The value, a scalar, and the gradient, ``[K]``.
    """
    estimate = jd.value_and_grads(jd.exact(objective))
    result = estimate(jax.random.key(0), jd.OneHotCategorical(_logits(config)))
    return result.value, result.gradient.logits


def temperatures(config: StudyConfig) -> list[float]:
    """The configured temperatures and the critical one.

    Args:
      config: of the study.

    Returns:
      Ascending temperatures.
    """
    critical = jd.critical_temperature(len(config.logits))
    return sorted({*config.temperatures, critical})


def measure(config: StudyConfig) -> dict[str, Moments]:
    """Moments of every estimator's gradient, in one compiled call.

    Args:
      config: of the study.

    Returns:
      By name; with a leading axis over temperatures where they matter.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.num_samples)
    grid = jnp.asarray(temperatures(config), jnp.float32)
    q = jd.OneHotCategorical(_logits(config))

    def moments(estimate: jd.Estimator, keys: jax.Array) -> Moments:
        compute = jd.value_and_grads(estimate)
        grads = jax.vmap(lambda key: compute(key, q).gradient.logits)(keys)
        return Moments(grads.mean(axis=0), grads.var(axis=0, ddof=1))

    @jax.jit
    def compute_all(keys: jax.Array) -> dict[str, Moments]:
        result = {
            name: moments(make(objective), keys)
            for name, make in WITHOUT_TEMPERATURE.items()
        }
        for name, make in WITH_TEMPERATURE.items():
            result[name] = jax.lax.map(
                lambda t, make=make: moments(make(objective, t), keys), grid
            )
        return result

    return compute_all(keys)


def run_name(estimator: str, temperature: float | None) -> str:
    """The name of a row in a claim.

    Args:
      estimator: of the study.
      temperature: None where there is none.

    Returns:
      For instance ``gumbel_softmax_0.5``.
    """
    return estimator if temperature is None else f"{estimator}_{temperature:g}"


def run_names(config: StudyConfig) -> list[str]:
    """The names of all rows.

    Args:
      config: of the study.

    Returns:
      As from :func:`run_name`.
    """
    with_temperature = [
        run_name(name, t) for name in WITH_TEMPERATURE for t in temperatures(config)
    ]
    return [*with_temperature, *WITHOUT_TEMPERATURE]


def study(config: StudyConfig) -> dict[str, Any]:
    """Measures every estimator at every temperature against the exact gradient.

    A bias is the Euclidean norm of mean minus exact gradient. Its standard error is
    the root of the summed squared standard errors of the mean's coordinates, which
    is what an unbiased estimator shows in place of zero. The variance is averaged
    over the logits, its logarithm is natural.

    Args:
      config: a checked configuration.

    Returns:
      The exact value and gradient, the critical temperature, and ``rows``.
    """
    value, gradient = exact(config)
    rows = []
    measured = measure(config)
    for name in [*WITH_TEMPERATURE, *WITHOUT_TEMPERATURE]:
        moments = measured[name]
        grid: list[float | None] = [*temperatures(config)]
        if name in WITHOUT_TEMPERATURE:
            grid = [None]
        means = moments.mean.reshape(len(grid), -1)
        variances = moments.variance.reshape(len(grid), -1)
        for t, mean, variance in zip(grid, means, variances, strict=True):
            error = jnp.sqrt(variance.sum() / config.num_samples)
            rows.append(
                {
                    "estimator": name,
                    "is_unbiased": name in UNBIASED,
                    "temperature": t,
                    "gradient": mean.tolist(),
                    "gradient_standard_error": jnp.sqrt(
                        variance / config.num_samples
                    ).tolist(),
                    "bias": float(jnp.linalg.norm(mean - gradient)),
                    "standard_error": float(error),
                    "log_variance": float(jnp.log(variance.mean())),
                }
            )
    return {
        "exact_value": float(value),
        "exact_gradient": gradient.tolist(),
        "critical_temperature": jd.critical_temperature(len(config.logits)),
        "rows": rows,
    }


def run(
    config: StudyConfig, folder: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Runs the study and writes ``relaxation.json`` and ``relaxation.png``.

    Args:
      config: a checked configuration.
      folder: of the study.
      overwrite: replace a study that is there. Default: no.

    Returns:
      As :func:`study`.

    Raises:
      UsageError: if the folder exists.
    """
    files.open_folder(
        folder, dataclasses.asdict(config), resume=False, overwrite=overwrite
    )
    result = study(config)
    figures.save_study(
        folder / "relaxation.png", result["rows"], result["critical_temperature"]
    )
    files.write_json(folder / "relaxation.json", result)
    return result


def _logits(config: StudyConfig) -> jax.Array:
    return jnp.asarray(config.logits, jnp.float32)
