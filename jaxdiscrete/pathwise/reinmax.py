"""Straight-through estimators of second order, exact for quadratic objectives.

Both come from the exact gradient, a sum of differences of f between two values, with
the difference replaced by the trapezoid rule, the mean of f' at both ends.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.checks import check_kind, check_temperature
from jaxdiscrete.core.latents import draw, freeze, map_latents, spread, widen
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.distributions import Bernoulli, OneHotCategorical
from jaxdiscrete.pathwise.gumbel_softmax import hard_forward, moving_location, pathwise


def half_estimator(f: Objective, *, has_aux: bool = False) -> Estimator:
    r"""Biased: the 1/2-estimator, for binary variables.

    The gradient estimate is :math:`\tfrac12 f'(z)\,\nabla_\phi p / q_\phi(z)` with
    :math:`p = q_\phi(1)`, that is :math:`\tfrac12 f'(z)(1 - q_\phi(z))` for the logit.
    Biased unless f is quadratic in every variable by itself, where its expectation is
    exact. One call of ``f``, at the hard sample: f must be differentiable in z there.
    :func:`reinmax` generalises it to categorical variables.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      ValueError: when called, if f does not return one real scalar.
      TypeError: when called, if f is not differentiable in z, or if q holds anything
        but :class:`Bernoulli`.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.half_estimator(lambda z: jnp.sum((z - 0.25) ** 2))
      >>> value, gradient = jax.value_and_grad(estimate, 1)(jax.random.key(0), q)
      >>> print(value, gradient.logits)  # exact in expectation: .125 each
      0.6875 [-0.125 -0.125  0.375]

    References:
      K. Gregor, I. Danihelka, A. Mnih, C. Blundell, D. Wierstra, Deep autoregressive
      networks, 2014.
      S. Gu, S. Levine, I. Sutskever, A. Mnih, MuProp: unbiased backpropagation for
      stochastic neural networks, 2016.
    """

    def slope(d: Bernoulli, z: jax.Array) -> jax.Array:
        location = d.location()
        return 0.5 * jax.nn.sigmoid(jnp.where(z > 0.5, -location, location))

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        z = draw(key, q)
        slopes = freeze(map_latents(slope, q, z))
        soft = map_latents(
            lambda d, c: (c * moving_location(d)).astype(d.dtype), q, slopes
        )
        return hard_forward(z, soft)

    def check(q: PyTree) -> None:
        check_kind("half_estimator", q, Bernoulli, variables="binary")

    return pathwise("half_estimator", f, sample, has_aux=has_aux, check=check)


def reinmax(
    f: Objective, *, temperature: PyTree = 1.0, has_aux: bool = False
) -> Estimator:
    r"""Biased: ReinMax, a straight-through estimator of second order.

    With :math:`\pi_0 = \mathrm{softmax}(a)` and
    :math:`\pi_1 = \tfrac12(\mathrm{softmax}(a/\lambda) + z)` the gradient estimate is
    :math:`f'(z)\,(2 C(\pi_1) - \tfrac12 C(\pi_0))` for the logits a, where
    :math:`C(\pi) = \mathrm{diag}(\pi) - \pi\pi^\top`, or :math:`\pi(1 - \pi)` for
    Bernoulli. At temperature 1 its expectation is exact for quadratic f, and for
    Bernoulli it is :func:`half_estimator`. Biased otherwise. One call of ``f``, at the
    hard sample: f must be differentiable in z there.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      temperature: :math:`\lambda > 0`; one number, an array of the latent's shape,
        or a pytree of q's structure. Above 1 it trades bias for variance. Receives no
        gradient. Default: 1.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      ValueError: if a temperature is known and not positive; when called, if
        shapes do not fit.
      TypeError: when called, if f does not return one real scalar or is not
        differentiable in z, or if q holds anything but :class:`Bernoulli` and
        :class:`OneHotCategorical`.

    Example:
      >>> q = jd.OneHotCategorical(jnp.zeros(3))
      >>> f = lambda z: jnp.dot(z, jnp.arange(3.0)) ** 2
      >>> grads = jax.vmap(jax.grad(jd.reinmax(f), 1), (0, None))(
      ...     jax.random.split(jax.random.key(0), 100_000), q)
      >>> print(np.asarray(grads.logits.mean(0)).round(1))  # exact: -.56 -.22 .78
      [-0.6 -0.2  0.8]

    References:
      L. Liu, C. Dong, X. Liu, B. Yu, J. Gao, Bridging discrete and backpropagation:
      straight-through and beyond, 2023.
    """
    check_temperature(temperature)

    def soft(
        d: Bernoulli | OneHotCategorical,
        wide_d: Bernoulli | OneHotCategorical,
        z: jax.Array,
        t: ArrayLike,
    ) -> jax.Array:
        first = wide_d.mean()
        second = 0.5 * (wide_d.relax(wide_d.location(), t) + z.astype(first.dtype))
        step = moving_location(d)
        second_order = 2.0 * _covariance_product(d, freeze(second), step)
        product = second_order - 0.5 * _covariance_product(d, first, step)
        return product.astype(d.dtype)

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        z = draw(key, q)
        fitted = spread("temperature", temperature, q)
        return hard_forward(z, map_latents(soft, q, widen(freeze(q)), z, fitted))

    def check(q: PyTree) -> None:
        kinds = (Bernoulli, OneHotCategorical)
        check_kind("reinmax", q, kinds, variables="binary and categorical")

    return pathwise("reinmax", f, sample, has_aux=has_aux, check=check)


def _covariance_product(
    d: Bernoulli | OneHotCategorical, mean: jax.Array, step: jax.Array
) -> jax.Array:
    """The covariance of a sample of this mean, times a step of the logits."""
    if isinstance(d, Bernoulli):
        return mean * (1.0 - mean) * step
    return mean * (step - jnp.sum(mean * step, axis=-1, keepdims=True))
