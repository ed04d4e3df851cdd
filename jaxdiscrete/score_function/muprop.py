"""MuProp: Taylor expansions of f at the mean as control variates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.baselines import Baseline
from jaxdiscrete.core.facts import TWO, facts
from jaxdiscrete.core.latents import (
    broadcast_to_latents,
    draw,
    freeze,
    is_sampler,
    latents,
    mean,
    parameters_in_float32,
)
from jaxdiscrete.core.needs import FINITE_RELAXABLE, RELAXABLE
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.rules import linear_form
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.core.varying import match_varying
from jaxdiscrete.score_function.mechanism import (
    Draw,
    add_gradients,
    check_relaxed_f,
    control_of,
    scale_gradient,
    with_control_variate,
)


def _hard(key: jax.Array, q: PyTree) -> Draw:
    return Draw(draw(key, q))


def _subtract(z: PyTree, m: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: a - b, z, m)


def _pull_through_mean(q: PyTree, slope: PyTree) -> PyTree:
    """The gradient of ``slope . mean(q)`` with respect to q."""
    wide_q = parameters_in_float32(q)
    means, pullback = jax.vjp(mean, wide_q)
    return pullback(jax.tree.map(lambda s, m: s.astype(m.dtype), slope, means))[0]


def _zeroth_and_first_order(
    q: PyTree, s: PyTree, value: jax.Array, slope: PyTree, deviation: PyTree
) -> tuple[PyTree, PyTree]:
    """The controls of f(m) and of the linear term, as gradients with respect to q."""
    nothing = jax.tree.map(jnp.zeros_like, s)
    linear_value = _dot(slope, deviation)
    linear = control_of(linear_value, s, _pull_through_mean(q, slope))
    return control_of(value, s, nothing), linear


def _dot(a: PyTree, b: PyTree) -> jax.Array:
    """The inner product of two pytrees of arrays, in at least float32."""
    return linear_form(
        [in_float32(x) for x in jax.tree.leaves(a)],
        [in_float32(x) for x in jax.tree.leaves(b)],
    )


@facts(
    calls=TWO,
    needs=RELAXABLE,
    differentiates=True,
    is_relaxed=True,
    reference="Gu et al. 2016",
)
def muprop(
    f: Objective,
    *,
    value_scale: PyTree = 1.0,
    linear_scale: PyTree = 1.0,
    baseline: Baseline | None = None,
    relaxed_f: Objective | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with a first-order Taylor control variate.

    With :math:`m = E_{q_\phi}[z]` held fixed inside f the gradient estimate is

    .. math:: (f(z) - b - s_0 f(m) - s_1 f'(m)(z - m))\nabla_\phi\log q_\phi(z)
              + s_1 f'(m)\nabla_\phi m.

    Unbiased for every scale. Two calls of ``f`` and one derivative: f must be
    differentiable in z, and meaningful at the mean.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      value_scale: :math:`s_0`; one number, an array of the latent's shape, or a
        pytree of q's structure. Arrays are trained by the variance. Default: 1.
      linear_scale: :math:`s_1`, in the same forms. Default: 1. With 0 only the value
        at the mean is subtracted.
      baseline: scalar or ``baseline(*args) -> scalar``, trained by the variance, or by
        squared error in :func:`least_squares`. Default: none. What it
        shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      relaxed_f: what is expanded in place of f, of the same signature without aux.
        Default: f.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f does not return one real scalar or is
        not differentiable in z, if q cannot be relaxed, or if shapes do not fit.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      >>> estimate = jd.muprop(lambda z: 3.0 * z.sum())  # linear: no variance
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(4))
      [0.705 0.705]

    References:
      S. Gu, S. Levine, I. Sutskever, A. Mnih, MuProp: unbiased backpropagation for
      stochastic neural networks, 2016.
    """

    def parameters(q: PyTree) -> Any:
        return (
            broadcast_to_latents("value_scale", value_scale, q),
            broadcast_to_latents("linear_scale", linear_scale, q),
        )

    def control(
        f: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], scales: Any
    ) -> PyTree:
        expanded = f if relaxed_f is None else relaxed_f
        m = mean(q)
        value, slope = jax.value_and_grad(lambda x: jnp.asarray(expanded(x, *args)))(m)
        constant, linear = _zeroth_and_first_order(
            q, drawn.score, value, slope, _subtract(drawn.z, m)
        )
        return add_gradients(
            scale_gradient(scales[0], constant), scale_gradient(scales[1], linear)
        )

    return with_control_variate(
        "muprop",
        f,
        draw=_hard,
        control=control,
        parameters=parameters,
        baseline=baseline,
        has_aux=has_aux,
        differentiates=relaxed_f is None,
        check=check_relaxed_f("muprop", relaxed_f),
    )


@facts(
    calls=TWO,
    needs=FINITE_RELAXABLE,
    differentiates=True,
    is_relaxed=True,
    reference="Gu et al. 2016",
)
def muprop_second_order(
    f: Objective,
    *,
    value_scale: PyTree = 1.0,
    linear_scale: PyTree = 1.0,
    quadratic_scale: PyTree = 1.0,
    baseline: Baseline | None = None,
    relaxed_f: Objective | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Score-function estimator with a second-order Taylor control variate.

    Adds to :func:`muprop` the term :math:`\frac12(z-m)^\top f''(m)(z-m)` with mean
    :math:`\frac12\mathrm{tr}(f''(m)\,\mathrm{Cov}_\phi z)`; m and :math:`f''(m)` are
    frozen while the mean is differentiated. Exact for quadratic f. Unbiased for
    every scale. Two calls of ``f``, one derivative, and n + 1 Hessian-vector
    products for n coordinates of z: f must be twice differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      value_scale: scale of f(m), as in :func:`muprop`. Default: 1.
      linear_scale: scale of the linear term. Default: 1.
      quadratic_scale: scale of the quadratic term. Default: 1.
      baseline: scalar or ``baseline(*args) -> scalar``, trained by the variance, or by
        squared error in :func:`least_squares`. Default: none. What it
        shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      relaxed_f: what is expanded in place of f, of the same signature without aux.
        Default: f.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: as :func:`muprop`.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      >>> estimate = jd.muprop_second_order(lambda z: z.sum() ** 2)  # no variance
      >>> grads = [jax.grad(estimate, 1)(jax.random.key(k), q).logits for k in (0, 1)]
      >>> print(bool(jnp.allclose(grads[0], grads[1], atol=1e-5)))
      True

    References:
      S. Gu, S. Levine, I. Sutskever, A. Mnih, MuProp: unbiased backpropagation for
      stochastic neural networks, 2016.
    """

    def parameters(q: PyTree) -> Any:
        return (
            broadcast_to_latents("value_scale", value_scale, q),
            broadcast_to_latents("linear_scale", linear_scale, q),
            broadcast_to_latents("quadratic_scale", quadratic_scale, q),
        )

    def control(
        f: Objective, q: PyTree, drawn: Draw, args: tuple[Any, ...], scales: Any
    ) -> PyTree:
        expanded = f if relaxed_f is None else relaxed_f
        m, s = mean(q), drawn.score
        deviation = _subtract(drawn.z, m)
        # One evaluation of f serves the value, the slope and every product below.
        (value, slope), derivative = jax.linearize(
            jax.value_and_grad(lambda x: jnp.asarray(expanded(x, *args))), m
        )
        constant, linear = _zeroth_and_first_order(q, s, value, slope, deviation)

        def hessian_product(v: PyTree) -> PyTree:
            return derivative(v)[1]

        quadratic_value = 0.5 * _dot(deviation, hessian_product(deviation))
        moment = _pull_through_covariance(hessian_product, q, m)
        return add_gradients(
            scale_gradient(scales[0], constant),
            scale_gradient(scales[1], linear),
            scale_gradient(scales[2], control_of(quadratic_value, s, moment)),
        )

    return with_control_variate(
        "muprop_second_order",
        f,
        draw=_hard,
        control=control,
        parameters=parameters,
        baseline=baseline,
        needs=FINITE_RELAXABLE,
        has_aux=has_aux,
        differentiates=relaxed_f is None,
        check=check_relaxed_f("muprop_second_order", relaxed_f),
    )


def _pull_through_covariance(
    hessian_product: Callable[[PyTree], PyTree], q: PyTree, m: PyTree
) -> PyTree:
    """The gradient of half the trace of H Cov(z) with respect to q, with H frozen."""
    means, treedef = jax.tree.flatten(m)
    gradients = []
    for i, (d, mi) in enumerate(zip(latents(q), means, strict=True)):

        def row(direction: jax.Array, i: int = i) -> jax.Array:
            zeros = [match_varying(jnp.zeros_like(x), x) for x in means]
            zeros[i] = match_varying(direction, means[i])
            v = jax.tree.unflatten(treedef, zeros)
            return jax.tree.leaves(hessian_product(v))[i]

        basis = jnp.eye(mi.size, dtype=mi.dtype).reshape(mi.size, *mi.shape)
        hessian = jax.vmap(row)(basis).reshape(mi.size, mi.size)
        # Variables are independent: only the coordinates of one vary together.
        variable = np.arange(mi.size) // (mi.size // math.prod(d.batch_shape))
        within = jnp.asarray(variable[:, None] == variable[None, :])
        block = freeze(in_float32(jnp.where(within, hessian, 0.0)))
        half_trace = _half_trace(block, variable)
        gradients.append(jax.grad(half_trace)(parameters_in_float32(d)))
    return jax.tree.unflatten(jax.tree.structure(q, is_leaf=is_sampler), gradients)


def _half_trace(block: jax.Array, variable: np.ndarray) -> Callable[[Any], jax.Array]:
    """Half the trace of ``block`` times the covariance, as a function of d.

    Args:
      block: ``[n, n]``, zero between coordinates of different variables.
      variable: ``[n]``, to which variable a coordinate belongs.
    """

    def of(d: Any) -> jax.Array:
        probabilities = jnp.exp(d.log_probabilities()).reshape(-1, d.num_classes)
        weights = probabilities[variable].T.astype(block.dtype)
        classes = jnp.arange(d.num_classes, dtype=jnp.int32)
        x = jax.vmap(lambda c: d.from_classes(jnp.full(d.batch_shape, c)))(classes)
        x = freeze(x.reshape(d.num_classes, -1).astype(block.dtype))
        mu = d.mean().reshape(-1).astype(block.dtype)
        return 0.5 * (jnp.sum(weights * x * (x @ block)) - mu @ block @ mu)

    return of
