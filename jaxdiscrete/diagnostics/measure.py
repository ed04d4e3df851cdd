"""The gradient meter: bias, variance and cost of several estimators side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.checks import check_parameters
from jaxdiscrete.core.latents import latents
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.typing import Enumerable, Estimator, Objective, PyTree
from jaxdiscrete.diagnostics.measurement import EstimatorStatistics, Measurement, Oracle
from jaxdiscrete.diagnostics.moments import (
    NO_MOMENTS,
    ROUNDING,
    Moments,
    check_call,
    check_estimate,
    compile_all,
    coordinate_names,
    depends_on_key,
    gradient_moments,
    gradient_rows,
    merge,
)
from jaxdiscrete.enumeration.exact import exact

#: Timed chunks of every estimator, at least.
MIN_TIMINGS = 5


def measure(
    estimators: Mapping[str, Callable[..., Any]],
    key: jax.Array,
    q: PyTree,
    *args: Any,
    num_gradients: int,
    f: Objective | None = None,
    oracle: Callable[..., Any] | None = None,
    num_oracle_gradients: int | None = None,
    max_states: int = 2**12,
    chunk_size: int = 1000,
) -> Measurement:
    r"""Bias, variance and cost of several estimators of one gradient.

    With f the estimators are transforms, ``f -> estimate``: the meter then counts the
    calls of f while one gradient runs, and enumerates the exact gradient itself where
    q has few joint states. Without f they are estimates that are made already.

    For gradients :math:`g_1,\dots,g_S` with respect to q, with equal keys for all:

    * bias against the oracle, its standard error, and z, the ratio of the two;
    * the variance, and its sum over coordinates;
    * signal-to-noise, :math:`|E g_i| / \mathrm{sd}(g_i)`;
    * directional signal-to-noise: the root mean square of what of g lies along the
      oracle (without one, along the mean of g) over that of the orthogonal rest. The
      paper takes the mean of the ratios, which is infinite where g lies along it with
      positive probability, as for discrete samples it may;
    * the mean cosine of g and the oracle, where a gradient of zero counts as 0;
    * calls of f and seconds per gradient, and the variance times either.

    Every gradient is computed twice: what is relative to the mean needs it first.

    Args:
      estimators: transforms, or without f estimates, by name.
      key: PRNG key.
      q: pytree of distributions, or any pytree of floating arrays that the estimates
        take in that place.
      args: further arguments of the estimates.
      num_gradients: how many of each estimator, ``S >= 2``. Static.
      f: the objective ``f(z, *args) -> scalar``. Default: the estimators are
        estimates, whose calls of f are not known.
      oracle: a transform, or without f an estimate, that is unbiased. One whose
        gradient does not depend on the key is taken as exact; of another the mean of
        many is used, with its standard error. Default: :func:`jaxdiscrete.exact`
        where f is given and q has at most ``max_states`` joint states, else none.
      num_oracle_gradients: how many gradients of a random oracle. Default:
        ``num_gradients``.
      max_states: how many joint states are enumerated without being asked to.
        Default: 4096.
      chunk_size: gradients that are computed at a time. Only memory and seconds
        depend on it. Default: 1000.

    Returns:
      A :class:`jaxdiscrete.Measurement`; ``print`` shows it as a table.

    Raises:
      TypeError: if an entry is not an estimate, or with f not a transform; if q holds
        anything but floating arrays.
      ValueError: if there are no estimators, or too few samples.
      FloatingPointError: if a gradient is not finite, naming the estimator.

    Example:
      >>> result = jd.measure(
      ...     {
      ...         "reinforce": jd.reinforce,
      ...         "leave-one-out": lambda f: jd.reinforce_loo(f, num_samples=4),
      ...         "mean field": jd.mean_field,
      ...     },
      ...     jax.random.key(0),
      ...     jd.Bernoulli(jnp.array([0.0, 0.5, -1.0])),
      ...     f=lambda z: jnp.sum((z - 0.45) ** 2),
      ...     num_gradients=10_000,
      ... )
      >>> print(result.oracle)
      exact, by enumeration of 8 joint states
      >>> for name, reading in result.estimators.items():
      ...     verdict = "biased" if reading.max_abs_z > 4.5 else "unbiased"
      ...     print(f"{name}: {reading.total_variance:.2f}, {reading.calls}, {verdict}")
      reinforce: 0.39, 1, unbiased
      leave-one-out: 0.00, 4, unbiased
      mean field: 0.00, 1, biased

    References:
      T. Rainforth, A. R. Kosiorek, T. A. Le, C. J. Maddison, M. Igl, F. Wood, Y. W.
      Teh, Tighter variational bounds are not necessarily better, 2018.
      T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing the sample
      variance: analysis and recommendations, 1983.
    """
    remedy = "A variance needs at least two gradients."
    check_count("measure", "num_gradients", num_gradients, 2, remedy)
    check_count("measure", "chunk_size", chunk_size, 1, "Ask for one or more.")
    if num_oracle_gradients is None:
        num_oracle_gradients = num_gradients
    check_count("measure", "num_oracle_gradients", num_oracle_gradients, 2, remedy)
    check_parameters("measure", "q", q)
    if not isinstance(estimators, Mapping) or not estimators:
        raise ValueError(
            "Expected a dict of estimators by name in jaxdiscrete.measure, got "
            f"{estimators!r}. Name at least one."
        )
    estimates = {
        name: _build(f"estimator {name!r}", entry, f, key, q, args)
        for name, entry in estimators.items()
    }
    key_samples, key_oracle = jax.random.split(key)
    reference = _reference(
        oracle, f, key_oracle, q, args, num_oracle_gradients, max_states, chunk_size
    )

    keys = jax.random.split(key_samples, num_gradients)
    programs = compile_all(estimates, keys, q, args, chunk_size)
    timings: dict[str, list[float]] = {name: [] for name in estimates}
    moments: dict[str, Moments] = dict.fromkeys(estimates, NO_MOMENTS)
    for name, rows, seconds in gradient_rows(programs, keys, chunk_size):
        timings[name].append(seconds)
        moments[name] = merge(moments[name], rows)
    projections: dict[str, list[np.ndarray]] = {name: [] for name in estimates}
    for name, rows, seconds in gradient_rows(programs, keys, chunk_size):
        timings[name].append(seconds)
        mean = moments[name].mean
        towards = mean if reference is None else reference.mean
        projections[name].append(_project(rows, mean, towards))
    while min(map(len, timings.values())) < MIN_TIMINGS:
        for name, _, seconds in gradient_rows(programs, keys[:chunk_size], chunk_size):
            timings[name].append(seconds)

    readings = {
        name: _read(
            moments[name],
            np.concatenate(projections[name], axis=1),
            reference,
            seconds=float(np.median(timings[name])),
            calls=None if f is None else _count_calls(entry, f, key, q, args),
        )
        for name, entry in estimators.items()
    }
    return Measurement(num_gradients, tuple(coordinate_names(q)), reference, readings)


def _build(
    what: str,
    entry: Any,
    f: Objective | None,
    key: jax.Array,
    q: PyTree,
    args: tuple[Any, ...],
) -> Estimator:
    """The estimate that an entry is, or makes of f."""
    if f is None:
        remedy = (
            "Pass estimates, for instance jaxdiscrete.reinforce(f), or transforms, for "
            "instance jaxdiscrete.reinforce, together with f=f."
        )
        return check_estimate("measure", what, entry, key, q, args, remedy)
    remedy = (
        "With f=f pass transforms, for instance jaxdiscrete.reinforce or lambda f: "
        "jaxdiscrete.reinforce_loo(f, num_samples=4)."
    )
    check_call(f"{what} of jaxdiscrete.measure", entry, "transform(f)", (f,), remedy)
    return check_estimate("measure", what, entry(f), key, q, args)


def _reference(
    oracle: Any,
    f: Objective | None,
    key: jax.Array,
    q: PyTree,
    args: tuple[Any, ...],
    num_gradients: int,
    max_states: int,
    chunk_size: int,
) -> Oracle | None:
    """The gradient that the others are compared with, if there is one."""
    if oracle is None:
        num_states = _num_states(q)
        if f is None or num_states is None or num_states > max_states:
            return None
        estimate = exact(f, max_states=max_states)
        description = f"exact, by enumeration of {num_states:,} joint states"
    else:
        estimate = _build("oracle", oracle, f, key, q, args)
        description = "exact: the given oracle does not depend on the key"
    if not depends_on_key(estimate, key, q, args):
        num_gradients = 1
    else:
        description = f"the mean of {num_gradients:,} gradients of the given oracle"
    moments = gradient_moments(
        "oracle",
        estimate,
        key,
        q,
        args,
        num_gradients=num_gradients,
        chunk_size=chunk_size,
    )
    is_exact = num_gradients == 1
    error = np.zeros_like(moments.mean) if is_exact else moments.standard_error
    return Oracle(description, is_exact, num_gradients, moments.mean, error)


def _num_states(q: PyTree) -> int | None:
    """The joint states of q, or None where they cannot be enumerated."""
    if not all(isinstance(d, Enumerable) for d in latents(q)):
        return None
    return math.prod(d.num_states for d in latents(q))


def _project(rows: np.ndarray, mean: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """The part of every gradient along a direction, its square, its deviation's."""
    length = float(np.linalg.norm(towards))
    along = rows @ (towards / length if length else towards)
    squares = np.square(rows).sum(axis=1)
    return np.stack([along, squares, np.square(rows - mean).sum(axis=1)])


def _read(
    moments: Moments,
    projections: np.ndarray,
    reference: Oracle | None,
    *,
    seconds: float,
    calls: int | None,
) -> EstimatorStatistics:
    along, squares, deviations = projections
    rest = squares - np.square(along)
    rest = np.where(rest > np.square(ROUNDING) * squares, rest, 0.0)
    lengths = np.sqrt(squares)
    bias = bias_error = z = cosine = None
    if reference is not None:
        bias = moments.mean - reference.mean
        bias_error = np.hypot(moments.standard_error, reference.standard_error)
        # Without the rounding a gradient that is not random would be refuted by it.
        z = _ratio(bias, np.hypot(bias_error, moments.rounding))
        cosine = float(np.mean(along / np.where(lengths > 0, lengths, 1.0)))
    return EstimatorStatistics(
        mean=moments.mean,
        standard_error=moments.standard_error,
        variance=moments.variance,
        total_variance=float(moments.variance.sum()),
        total_variance_error=float(
            deviations.std(ddof=1) / math.sqrt(moments.num_rows)
        ),
        signal_to_noise=_ratio(np.abs(moments.mean), np.sqrt(moments.variance)),
        directional_signal_to_noise=float(
            _ratio(np.sqrt(np.mean(along**2)), np.sqrt(np.mean(rest)))
        ),
        bias=bias,
        bias_error=bias_error,
        z=z,
        cosine=cosine,
        calls=calls,
        seconds=seconds,
    )


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b``, infinite where b alone is zero and zero where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(a == 0, 0.0, a / b)


def _count_calls(
    transform: Callable[[Objective], Estimator],
    f: Objective,
    key: jax.Array,
    q: PyTree,
    args: tuple[Any, ...],
) -> int:
    """The number of times that f runs in one gradient."""
    calls = []

    def counted(*inputs: Any, **options: Any) -> Any:
        # A callback runs once for every row that its operands have under vmap.
        witnesses = [
            jnp.ravel(x)[:1]
            for x in jax.tree.leaves((inputs, options))
            if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.number)
        ]
        jax.debug.callback(lambda *_: calls.append(1), *witnesses)
        return f(*inputs, **options)

    gradient = jax.grad(transform(counted), argnums=1)
    jax.block_until_ready(jax.jit(lambda k: gradient(k, q, *args))(key))
    jax.effects_barrier()
    return len(calls)
