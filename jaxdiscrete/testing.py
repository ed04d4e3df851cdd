"""Assertions for tests of estimators, those of users included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxdiscrete.core.checks import check_parameters
from jaxdiscrete.core.numbers import check_count, check_positive
from jaxdiscrete.core.typing import Estimator, PyTree
from jaxdiscrete.diagnostics.moments import (
    ROUNDING,
    Moments,
    check_estimate,
    coordinate_names,
    depends_on_key,
    gradient_moments,
)

__all__ = ["assert_unbiased"]

#: Coordinates that a message lists.
_SHOWN = 5


def assert_unbiased(
    estimate: Estimator,
    oracle: Estimator,
    key: jax.Array,
    q: PyTree,
    *args: Any,
    num_gradients: int,
    k_sigma: float = 4.5,
    detectable_bias: float = 0.05,
    chunk_size: int = 1000,
) -> None:
    """Asserts that the gradient of an estimate is unbiased, or fails saying where.

    In every coordinate of q the mean gradient must be within ``k_sigma`` standard
    errors of the oracle's. The test refuses to pass without power: ``k_sigma``
    standard errors must be less than ``detectable_bias`` of the coordinate, so
    that a bias of that size could not hide. A coordinate whose expected gradient is
    zero is measured by the largest coordinate, and by 1 if all are zero.

    Args:
      estimate: ``estimate(key, q, *args) -> scalar``, what is tested.
      oracle: an estimate with the right gradient, for instance
        ``jaxdiscrete.exact(f)``. Of one whose gradient depends on the key the mean of
        ``num_gradients`` is used, and its standard error counts.
      key: PRNG key; the test is a function of it.
      q: pytree of distributions, or any pytree of floating arrays.
      args: further arguments of both.
      num_gradients: how many are drawn. Static.
      k_sigma: how many standard errors. Default: 4.5, which a correct estimator
        exceeds in 7 of a million coordinates.
      detectable_bias: which bias must be visible, relative to the coordinate. Default:
        0.05.
      chunk_size: gradients that are computed at a time. Default: 1000.

    Raises:
      AssertionError: if a coordinate is biased, naming the worst; if the test is
        underpowered, saying how many samples it needs; if a gradient is not finite.
      TypeError, ValueError: if the arguments cannot be used.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -1.0]))
      >>> f = lambda z: jnp.sum((z - 0.3) ** 2)
      >>> def check(transform):
      ...     key = jax.random.key(0)
      ...     jd.testing.assert_unbiased(
      ...         transform(f), jd.exact(f), key, q, num_gradients=100_000
      ...     )
      >>> check(lambda f: jd.reinforce_loo(f, num_samples=2))
      >>> try:
      ...     check(jd.straight_through)
      ... except AssertionError as error:
      ...     print(str(error).splitlines()[0])
      Expected an unbiased gradient, got 2 of 2 coordinates more than 4.5 standard
      errors off:
    """
    name = "testing.assert_unbiased"
    check_count(name, "num_gradients", num_gradients, 2, "Take more.")
    check_positive("k_sigma", k_sigma, "It is a number of standard errors.")
    remedy = "It is a fraction of the gradient."
    check_positive("detectable_bias", detectable_bias, remedy)
    check_parameters(name, "q", q)
    check_estimate(name, "estimate", estimate, key, q, args)
    check_estimate(name, "oracle", oracle, key, q, args)
    key_estimate, key_oracle = jax.random.split(key)
    is_random = depends_on_key(oracle, key, q, args)
    try:
        moments = gradient_moments(
            "estimate",
            estimate,
            key_estimate,
            q,
            args,
            num_gradients=num_gradients,
            chunk_size=chunk_size,
        )
        expected = gradient_moments(
            "oracle",
            oracle,
            key_oracle,
            q,
            args,
            num_gradients=num_gradients if is_random else 1,
            chunk_size=chunk_size,
        )
    except FloatingPointError as error:
        raise AssertionError(str(error)) from None
    assert_mean(
        moments,
        expected.mean,
        expected.standard_error if is_random else np.zeros_like(expected.mean),
        coordinate_names(q),
        k_sigma=k_sigma,
        detectable_bias=detectable_bias,
    )


def assert_mean(
    moments: Moments,
    expected: np.ndarray,
    expected_error: np.ndarray,
    names: Sequence[str],
    *,
    k_sigma: float,
    detectable_bias: float,
) -> None:
    """Asserts that the mean of samples is the expected one, with power.

    Args:
      moments: of the samples.
      expected: ``[coordinates]``.
      expected_error: its standard error; zero where it is exact.
      names: of the coordinates, for the messages.
      k_sigma: how many standard errors the mean may be off.
      detectable_bias: which relative error must be visible.

    Raises:
      AssertionError: naming the worst coordinates.
    """
    if not len(expected):
        return
    error = np.hypot(moments.standard_error, expected_error)
    difference = np.abs(moments.mean - expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(difference > moments.rounding, difference / error, 0.0)
    bound = k_sigma * error + moments.rounding
    if np.any(difference > bound):
        lines = [
            f"  {names[i]}: mean {moments.mean[i]:.6g}, expected {expected[i]:.6g}, "
            f"z = {z[i]:.1f}"
            for i in np.argsort(-difference / bound)[:_SHOWN]
            if difference[i] > bound[i]
        ]
        raise AssertionError(
            f"Expected an unbiased gradient, got {np.sum(difference > bound)} of "
            f"{len(expected)} coordinates more than {k_sigma:g} standard errors off:\n"
            + "\n".join(lines)
        )
    size = np.abs(expected)
    is_zero = size <= ROUNDING * size.max()
    relative = k_sigma * error / np.where(is_zero, size.max() or 1.0, size)
    if np.any(relative >= detectable_bias):
        needed = moments.num_rows * float(np.square(relative.max() / detectable_bias))
        # Two digits, rounded up: the variance is itself an estimate.
        unit = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
        lines = [
            f"  {names[i]}: expected {expected[i]:.6g}, {k_sigma:g} standard errors "
            f"are {k_sigma * error[i]:.3g}"
            for i in np.argsort(-relative)[:_SHOWN]
            if relative[i] >= detectable_bias
        ]
        raise AssertionError(
            f"Expected a test that would see a bias of {detectable_bias:.0%}, got an "
            f"underpowered one with {moments.num_rows:,} samples. About "
            f"{(math.floor(needed / unit) + 1) * unit:,} are needed:\n"
            + "\n".join(lines)
        )
