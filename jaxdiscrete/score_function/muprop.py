"""MuProp: Taylor expansions of f at the mean as control variates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.checks import check_differentiable
from jaxdiscrete.core.latents import (
    draw,
    freeze,
    is_sampler,
    latents,
    mean,
    score,
    spread,
    widen,
)
from jaxdiscrete.core.precision import add_wide, wide
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree
from jaxdiscrete.score_function.mechanism import (
    Draw,
    add_gradients,
    scalar_part,
    scale_gradient,
    vary_like,
    with_control_variate,
)


def _hard(key: jax.Array, q: PyTree) -> Draw:
    return Draw(draw(key, q))


def _dot(a: PyTree, b: PyTree) -> jax.Array:
    """The inner product of two pytrees of arrays, in float32 or wider."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return add_wide([jnp.sum(wide(x) * wide(y)) for x, y in pairs])


def _subtract(z: PyTree, m: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: a - b, z, m)


def _pull_through_mean(q: PyTree, slope: PyTree) -> PyTree:
    """The gradient of ``slope . mean(q)`` with respect to q."""
    _, pullback = jax.vjp(mean, widen(q))
    wide = jax.tree.map(lambda m: m.dtype, jax.eval_shape(mean, widen(q)))
    return pullback(jax.tree.map(lambda s, dtype: s.astype(dtype), slope, wide))[0]


def _zeroth_and_first_order(
    q: PyTree, s: PyTree, value: jax.Array, slope: PyTree, deviation: PyTree
) -> tuple[PyTree, PyTree]:
    """The controls of f(m) and of the linear term, as gradients with respect to q."""
    constant = jax.tree.map(lambda g: value.astype(g.dtype) * g, s)
    linear_value = _dot(slope, deviation)
    linear = jax.tree.map(
        lambda g, mu: linear_value * g - mu, s, _pull_through_mean(q, slope)
    )
    return constant, linear


def muprop(
    f: Objective,
    *,
    value_scale: PyTree = 1.0,
    linear_scale: PyTree = 1.0,
    baseline: Baseline | None = None,
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
      linear_scale: :math:`s_1`, likewise. Default: 1. With 0 only the value at the
        mean is subtracted.
      baseline: scalar array or ``baseline(*args) -> scalar``, trained by the
        variance. Default: none.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

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
    plain = scalar_part(f, has_aux)

    def parameters(q: PyTree) -> Any:
        return (
            spread("value_scale", value_scale, q),
            spread("linear_scale", linear_scale, q),
        )

    def control(q: PyTree, drawn: Draw, args: tuple[Any, ...], scales: Any) -> PyTree:
        m = mean(q)
        value, slope = jax.value_and_grad(lambda x: jnp.asarray(plain(x, *args)))(m)
        constant, linear = _zeroth_and_first_order(
            q, score(q, drawn.z), value, slope, _subtract(drawn.z, m)
        )
        return add_gradients(
            scale_gradient(scales[0], constant), scale_gradient(scales[1], linear)
        )

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        del q
        check_differentiable("muprop", "f", plain, z, args)

    return with_control_variate(
        "muprop",
        f,
        draw=_hard,
        control=control,
        parameters=parameters,
        baseline=baseline,
        check=check,
        has_aux=has_aux,
    )


def muprop_second_order(
    f: Objective,
    *,
    value_scale: PyTree = 1.0,
    linear_scale: PyTree = 1.0,
    quadratic_scale: PyTree = 1.0,
    baseline: Baseline | None = None,
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
      baseline: scalar array or ``baseline(*args) -> scalar``, trained by the
        variance. Default: none.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

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
    plain = scalar_part(f, has_aux)

    def parameters(q: PyTree) -> Any:
        return (
            spread("value_scale", value_scale, q),
            spread("linear_scale", linear_scale, q),
            spread("quadratic_scale", quadratic_scale, q),
        )

    def control(q: PyTree, drawn: Draw, args: tuple[Any, ...], scales: Any) -> PyTree:
        m, s = mean(q), score(q, drawn.z)
        deviation = _subtract(drawn.z, m)
        # One evaluation of f serves the value, the slope and every product below.
        (value, slope), derivative = jax.linearize(
            jax.value_and_grad(lambda x: jnp.asarray(plain(x, *args))), m
        )
        constant, linear = _zeroth_and_first_order(q, s, value, slope, deviation)

        def hessian_product(v: PyTree) -> PyTree:
            return derivative(v)[1]

        quadratic_value = 0.5 * _dot(deviation, hessian_product(deviation))
        moment = _pull_through_covariance(hessian_product, q, m)
        quadratic = jax.tree.map(lambda g, mu: quadratic_value * g - mu, s, moment)
        return add_gradients(
            scale_gradient(scales[0], constant),
            scale_gradient(scales[1], linear),
            scale_gradient(scales[2], quadratic),
        )

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        del q
        check_differentiable("muprop_second_order", "f", plain, z, args)

    return with_control_variate(
        "muprop_second_order",
        f,
        draw=_hard,
        control=control,
        parameters=parameters,
        baseline=baseline,
        check=check,
        has_aux=has_aux,
    )


def _pull_through_covariance(
    hessian_product: Callable[[PyTree], PyTree], q: PyTree, m: PyTree
) -> PyTree:
    """The gradient of half the trace of H Cov(z) with respect to q, with H frozen."""
    means, treedef = jax.tree.flatten(m)
    gradients = []
    for i, (d, mi) in enumerate(zip(latents(q), means, strict=True)):

        def row(direction: jax.Array, i: int = i) -> jax.Array:
            still = [vary_like(jnp.zeros_like(x), x) for x in means]
            still[i] = vary_like(direction, means[i])
            v = jax.tree.unflatten(treedef, still)
            return jax.tree.leaves(hessian_product(v))[i]

        basis = jnp.eye(mi.size, dtype=mi.dtype).reshape(mi.size, *mi.shape)
        hessian = jax.vmap(row)(basis).reshape(mi.size, mi.size)
        # The coordinates of one variable are indicators of which at most one is set,
        # so Cov = diag(m) - m m^T within it, and zero between variables.
        variable = np.arange(mi.size) // (mi.size // math.prod(d.batch_shape))
        within = jnp.asarray(variable[:, None] == variable[None, :])
        block = freeze(wide(jnp.where(within, hessian, 0.0)))

        def half_trace(wide_d: Any, block: jax.Array = block) -> jax.Array:
            mu = wide_d.mean().reshape(-1)
            return 0.5 * (jnp.diagonal(block) @ mu - mu @ block @ mu)

        gradients.append(jax.grad(half_trace)(widen(d)))
    return jax.tree.unflatten(jax.tree.structure(q, is_leaf=is_sampler), gradients)
