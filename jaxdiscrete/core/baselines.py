"""Baselines: how they are given, evaluated and trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.checking import is_checking
from jaxdiscrete.core.checks import check_args_are_arrays, check_real_scalar
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.numbers import check_finite
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.rules import attach_objective


@dataclasses.dataclass(frozen=True)
class LeastSquares:
    """A baseline that is fitted by squared error; :func:`least_squares` makes one."""

    baseline: ArrayLike | Callable[..., ArrayLike]


#: ``baseline(*args) -> scalar``, or a scalar, as it is or in :func:`least_squares`.
Baseline = ArrayLike | Callable[..., ArrayLike] | LeastSquares


def least_squares(baseline: ArrayLike | Callable[..., ArrayLike]) -> LeastSquares:
    r"""A baseline that is fitted by squared error, for ``baseline=`` of any estimator.

    A baseline as it is receives the gradient of the estimator's second moment. In this
    wrapper it receives that of :math:`\tfrac12(f(z) - b)^2`, the regression of f on the
    inputs: less noisy, the usual choice for networks, and possible for samplers that
    give only ``log_prob``. Trained by plain SGD, a scalar array is a moving average.

    Args:
      baseline: a scalar, or ``baseline(*args) -> scalar`` with its inputs stopped.
        What it shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.

    Returns:
      An argument for ``baseline=``.

    Example:
      >>> def loss(b, key):
      ...     estimate = jd.reinforce(lambda z: 10.0 + z, baseline=jd.least_squares(b))
      ...     return estimate(key, jd.Bernoulli(jnp.array(0.0)))
      >>> print(jax.grad(loss)(jnp.array(4.0), jax.random.key(0)))  # b - f
      -6.0
    """
    return LeastSquares(baseline)


class BaselineValue(NamedTuple):
    """A baseline at the stopped arguments of an estimate.

    Attributes:
      by_variance: its value where it is trained by the second moment; else None.
      by_error: its value where it is fitted by squared error; else None.
    """

    by_variance: jax.Array | None = None
    by_error: jax.Array | None = None

    def subtract_from(self, signal: jax.Array) -> jax.Array:
        """The signal less the baseline.

        Args:
          signal: one number, or one per sample, stopped.

        Returns:
          Of the signal's shape and dtype.
        """
        for value in self:
            if value is not None:
                signal = signal - value.astype(signal.dtype)
        return signal

    def fit(self, value: jax.Array, signal: jax.Array) -> jax.Array:
        """``value``, which carries the squared error to what the baseline is made of.

        Args:
          value: scalar, of the estimate.
          signal: what the baseline predicts, stopped.

        Returns:
          ``value``; where nothing is fitted by squared error, as it came.
        """
        if self.by_error is None:
            return value
        error = signal - self.by_error.astype(signal.dtype)
        return attach_objective(value, 0.5 * jnp.square(error))


def evaluate_scalar(
    what: str, value: ArrayLike | Callable[..., Any], args: tuple[Any, ...]
) -> jax.Array:
    """A scalar, or a function of the stopped ``args``, in at least float32.

    Args:
      what: what the user calls it, for error messages.
      value: the scalar or function.
      args: arguments of the estimate.

    Returns:
      The scalar, live in what the function closes over.

    Raises:
      ValueError: if a number is not finite, or has a shape.
      TypeError: if it is no real number, or if ``args`` hide arrays that cannot be
        stopped.
    """
    if not callable(value):
        check_finite(what, value)
        number = float(value) if isinstance(value, int) else value
        check_real_scalar(what, number)
        return in_float32(jnp.asarray(number))
    check_args_are_arrays(what, args)
    inputs = freeze(args)
    if not is_checking():
        check_real_scalar(what, jax.eval_shape(lambda: value(*inputs)))
    out = value(*inputs)
    check_real_scalar(what, out)
    return in_float32(jnp.asarray(out))


def check_scalar_given(
    what: str, value: ArrayLike | Callable[..., Any] | None, args: tuple[Any, ...]
) -> None:
    """Raises where :func:`evaluate_scalar` would, without computing.

    Args:
      what: what the user calls it, for error messages.
      value: the scalar or function; None passes.
      args: arguments of the estimate.

    Raises:
      TypeError, ValueError: as :func:`evaluate_scalar`.
    """
    if value is not None:
        jax.eval_shape(lambda: evaluate_scalar(what, value, args))


def check_baseline(baseline: Baseline | None, args: tuple[Any, ...]) -> None:
    """Raises where :func:`evaluate_baseline` would, without computing.

    Args:
      baseline: as the user gave it.
      args: arguments of the estimate.

    Raises:
      TypeError, ValueError: as :func:`evaluate_scalar`.
    """
    jax.eval_shape(lambda: evaluate_baseline(baseline, args))


def evaluate_baseline(
    baseline: Baseline | None, args: tuple[Any, ...]
) -> BaselineValue:
    """The baseline of an estimate, told apart by how it is trained.

    Args:
      baseline: as the user gave it; None is no baseline.
      args: arguments of the estimate, which a baseline that is a function reads
        stopped.

    Returns:
      Its value, in at least float32.

    Raises:
      TypeError, ValueError: as :func:`evaluate_scalar`.
    """
    if baseline is None:
        return BaselineValue()
    if isinstance(baseline, LeastSquares):
        return BaselineValue(
            by_error=evaluate_scalar("baseline", baseline.baseline, args)
        )
    return BaselineValue(by_variance=evaluate_scalar("baseline", baseline, args))
