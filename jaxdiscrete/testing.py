"""Assertions for tests of estimators, those of users included."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxdiscrete.core.checks import check_parameters, check_scalar
from jaxdiscrete.core.needs import REPARAMETRISABLE, check_latents
from jaxdiscrete.core.numbers import check_count, check_positive
from jaxdiscrete.core.objective import value_of, with_aux
from jaxdiscrete.core.rules import control_variates_are_held
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.diagnostics.derivative_gap import TOLERANCE, derivative_gap
from jaxdiscrete.diagnostics.gradient_path import gradient_path, remedy_of_nonlinearity
from jaxdiscrete.diagnostics.moments import (
    ROUNDING,
    Moments,
    check_estimate,
    coordinate_names,
    depends_on_key,
    gradient_moments,
)

__all__ = [
    "assert_control_variates_are_separate",
    "assert_differentiable",
    "assert_linear_in_estimates",
    "assert_unbiased",
]

#: Coordinates that a message lists.
_SHOWN = 5
#: The relative difference of gradients that are computed by two programs.
_SAME = 1e-5


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
      ...         transform(f), jd.exact(f), key, q, num_gradients=40_000
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


def assert_differentiable(
    f: Objective, key: jax.Array, q: PyTree, *args: Any, tolerance: float = TOLERANCE
) -> None:
    r"""Asserts that f is the integral of its derivative between relaxed samples.

    .. math:: f(b) - f(a) = \int_0^1 \nabla f(a + t (b - a)) \cdot (b - a)\, dt

    Estimators that differentiate f (:func:`jaxdiscrete.rebar`,
    :func:`jaxdiscrete.gumbel_softmax` and others) are wrong where f jumps between the
    hard values, or where the derivative that JAX takes is not that of f. They refuse
    what can be read off the program of f; a comparison that selects between two
    branches, a stopped maximum and a derivative that is written by hand cannot be, and
    are found here. Not for an f with an estimate inside, whose derivative is that of
    its expectation and not of its value.

    Calls of f: 130 on each of 8 segments between two relaxed samples.

    Args:
      f: ``f(z, *args) -> scalar``.
      key: PRNG key of the relaxed samples; the test is a function of it.
      q: pytree of distributions with a relaxation.
      args: further arguments of ``f``.
      tolerance: which share of a difference of f may be missed. Kinks and steep
        functions miss up to about 0.02. Default: 0.05.

    Raises:
      AssertionError: if more is missed.
      TypeError, ValueError: if f does not return one real scalar, or q has no
        relaxation.

    Example:
      >>> q, key = jd.Bernoulli(jnp.zeros(3)), jax.random.key(0)
      >>> jd.testing.assert_differentiable(lambda z: jax.nn.relu(z).sum(), key, q)
      >>> try:
      ...     jump = lambda z: jnp.where(z > 0.5, z + 1.0, z).sum()
      ...     jd.testing.assert_differentiable(jump, key, q)
      ... except AssertionError as error:
      ...     print(str(error).split(", got")[0])
      Expected f to be the integral of its derivative between relaxed samples
    """
    name = "testing.assert_differentiable"
    check_positive("tolerance", tolerance, "It is a share of a difference of f.")
    check_latents(name, q, REPARAMETRISABLE)
    f = value_of(with_aux(f, has_aux=False))
    gap = derivative_gap(f, key, q, args)
    if gap > tolerance:
        raise AssertionError(
            "Expected f to be the integral of its derivative between relaxed samples, "
            f"got a derivative that misses {gap:.0%} of a difference of f. f jumps "
            "(a comparison, a table), or its derivative is not its own "
            "(stop_gradient, a custom rule). Remove that, or use "
            "jaxdiscrete.reinforce_loo or jaxdiscrete.nvil, which never differentiate "
            "f."
        )


def assert_control_variates_are_separate(
    loss: Callable[..., Any], params: PyTree, *args: Any
) -> None:
    """Asserts that no array is trained by the loss and by a control variate at once.

    ``jax.grad`` of a loss brings baselines, scales, temperatures and critics the
    gradient of the variance. An array that a baseline shares with the model, for
    instance the features of a common trunk, gets the sum of both gradients, which is
    that of no objective: the model is then trained to make the estimator's work easy.
    Where features are shared, stop them: ``baseline(jax.lax.stop_gradient(h))``.

    The gradient is computed twice, with and without what trains control variates. A
    leaf of the model does not change, a leaf of a control variate is left with zero.

    Args:
      loss: ``loss(params, *args) -> scalar``, what ``jax.grad`` is called with.
      params: pytree of floating arrays: those of the model and of control variates.
      args: further arguments of the loss, such as a PRNG key.

    Raises:
      AssertionError: naming the leaves that are trained by both.
      TypeError, ValueError: if the loss is not one real scalar, or if params hold
        anything but floating arrays.

    Example:
      >>> f = lambda z: jnp.sum((z - 0.45) ** 2)
      >>> def loss(params, key, stop):
      ...     h = jnp.tanh(params["trunk"])
      ...     baseline = lambda: jnp.dot(params["head"], stop(h))
      ...     return jd.nvil(f, baseline=baseline)(key, jd.Bernoulli(h))
      >>> params = {"trunk": jnp.ones(3), "head": jnp.ones(3)}
      >>> check = jd.testing.assert_control_variates_are_separate
      >>> check(loss, params, jax.random.key(0), jax.lax.stop_gradient)
      >>> try:
      ...     check(loss, params, jax.random.key(0), lambda h: h)
      ... except AssertionError as error:
      ...     print(str(error).split(". ")[0])
      Expected arrays that are trained either by the loss or by a control variate, got
      params['trunk'], trained by both
    """
    name = "testing.assert_control_variates_are_separate"
    check_parameters(name, "params", params)
    check_scalar("loss", loss, params, args)

    def gradient() -> dict[str, np.ndarray]:
        found = jax.grad(lambda p: loss(p, *args))(params)
        rows = jax.tree_util.tree_flatten_with_path(found)[0]
        return {
            "params" + jax.tree_util.keystr(path): np.asarray(x, np.float64)
            for path, x in rows
        }

    together = gradient()
    with control_variates_are_held():
        of_loss = gradient()
    shared = [
        leaf
        for leaf, x in of_loss.items()
        if x.any() and np.abs(together[leaf] - x).max() > _SAME * np.abs(x).max()
    ]
    if shared:
        raise AssertionError(
            "Expected arrays that are trained either by the loss or by a control "
            f"variate, got {', '.join(shared)}, trained by both. Their gradient is "
            "that of no objective. Stop what a baseline, critic, scale or temperature "
            "takes from the model with jax.lax.stop_gradient."
        )


def assert_linear_in_estimates(
    loss: Callable[..., Any], params: PyTree, *args: Any
) -> None:
    """Asserts that a loss takes no logarithm, square or clip of an estimate.

    The mean of an estimate is an expectation, and the mean of its gradient the gradient
    of that. Of a function of it neither is true, unless the function is linear. This is
    read off the program, without computing. A product of two estimates passes, and is
    right where their keys are independent.

    Args:
      loss: ``loss(params, *args) -> scalar``, what ``jax.grad`` is called with.
      params: pytree of floating arrays.
      args: further arguments of the loss, such as a PRNG key.

    Raises:
      AssertionError: naming the operation.
      TypeError, ValueError: if the loss is not one real scalar, or if params hold
        anything but floating arrays.

    Example:
      >>> estimate = jd.reinforce(lambda z: 1.0 + z.sum())
      >>> loss = lambda logits, key: -estimate(key, jd.Bernoulli(logits))
      >>> jd.testing.assert_linear_in_estimates(loss, jnp.zeros(3), jax.random.key(0))
      >>> try:
      ...     log_loss = lambda logits, key: jnp.log(-loss(logits, key))
      ...     key = jax.random.key(0)
      ...     jd.testing.assert_linear_in_estimates(log_loss, jnp.zeros(3), key)
      ... except AssertionError as error:
      ...     print(str(error).split(", which")[0])
      The loss depends on the value of an estimate through log
    """
    path = gradient_path(loss, params, *args)
    if path.nonlinearity:
        raise AssertionError(remedy_of_nonlinearity(path.nonlinearity))


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
