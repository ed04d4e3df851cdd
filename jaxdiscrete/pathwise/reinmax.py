"""Straight-through estimators of second order, exact for quadratic objectives.

Both come from the exact gradient, a sum of differences of f between two values, with
the difference replaced by the trapezoid rule, the mean of f' at both ends.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import (
    draw,
    freeze,
    log_odds,
    parameters_in_float32,
)
from jaxdiscrete.core.needs import BINARY, FINITE
from jaxdiscrete.core.numbers import positive_temperature
from jaxdiscrete.core.typing import Estimator, Finite, Objective, PyTree
from jaxdiscrete.pathwise.mechanism import (
    hard_forward,
    map_like_samples,
    mean_of_classes,
    moving_log_odds,
    moving_log_probabilities,
    pathwise,
    temperature_per_variable,
    tempered,
)


@facts(
    needs=BINARY,
    is_unbiased=False,
    differentiates=True,
    reference="Gu et al. 2016",
)
def half_estimator(f: Objective, *, has_aux: bool = False) -> Estimator:
    r"""Biased: the 1/2-estimator, for binary variables.

    The gradient estimate is :math:`\tfrac12 f'(z)\,\nabla_\phi p / q_\phi(z)` with
    :math:`p = q_\phi(1)`, that is :math:`\tfrac12 f'(z)(1 - q_\phi(z))` for the logit.
    Biased unless f is quadratic in every variable by itself, where its expectation is
    exact. One call of ``f``, at the hard sample: f must be differentiable in z there.
    :func:`reinmax` generalises it to categorical variables.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      ValueError: when called, if f does not return one real scalar.
      TypeError: when called, if f is not differentiable in z, or if q holds anything
        but binary variables.

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

    def soft(d: Finite, z: jax.Array) -> jax.Array:
        a = log_odds(d)
        unlikely = jax.nn.sigmoid(jnp.where(d.to_classes(z) == 1, -a, a))
        moving = 0.5 * freeze(unlikely) * moving_log_odds(d)
        return mean_of_classes(d, jnp.stack([-moving, moving], axis=-1))

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        z = draw(key, q)
        return hard_forward(z, map_like_samples(soft, z, q, z))

    return pathwise("half_estimator", f, sample, needs=BINARY, has_aux=has_aux)


@facts(
    needs=FINITE,
    is_unbiased=False,
    differentiates=True,
    reference="Liu et al. 2023",
)
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
      temperature: :math:`\lambda > 0`; one number, an array of the latent's batch
        shape, or a pytree of q's structure. Above 1 it trades bias for variance.
        Receives no gradient. Default: 1.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      ValueError: if a temperature is known and not positive; when called, if
        shapes do not fit.
      TypeError: when called, if f does not return one real scalar or is not
        differentiable in z, or if q holds anything but variables with classes.

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
    temperature = positive_temperature(temperature)

    def soft(d: Finite, frozen_d: Finite, z: jax.Array, t: ArrayLike) -> jax.Array:
        if d.num_classes == 2:
            return _of_two_classes(d, frozen_d, z, t)
        table = frozen_d.log_probabilities()
        first = jnp.exp(table)
        drawn = jax.nn.one_hot(d.to_classes(z), d.num_classes, dtype=table.dtype)
        second = freeze(0.5 * (tempered(table, t) + drawn))
        step = moving_log_probabilities(d)
        change = 2.0 * _covariance_product(second, step)
        change -= 0.5 * _covariance_product(first, step)
        return mean_of_classes(d, change)

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        z = draw(key, q)
        fitted = temperature_per_variable("temperature", temperature, q)
        frozen_q = parameters_in_float32(freeze(q))
        return hard_forward(z, map_like_samples(soft, z, q, frozen_q, z, fitted))

    return pathwise("reinmax", f, sample, needs=FINITE, has_aux=has_aux)


def _of_two_classes(
    d: Finite, frozen_d: Finite, z: jax.Array, t: ArrayLike
) -> jax.Array:
    """The term that ReinMax adds to z, from log-odds alone."""
    odds = log_odds(frozen_d)
    per_variable = jnp.reshape(t, odds.shape) if jnp.ndim(t) else t
    first = jax.nn.sigmoid(odds)
    tempered_odds = odds / jnp.asarray(per_variable).astype(odds.dtype)
    second = 0.5 * (jax.nn.sigmoid(tempered_odds) + d.to_classes(z).astype(odds.dtype))
    slope = 2.0 * second * (1.0 - second) - 0.5 * first * (1.0 - first)
    moving = freeze(slope) * moving_log_odds(d)
    return mean_of_classes(d, jnp.stack([-moving, moving], axis=-1))


def _covariance_product(probabilities: jax.Array, step: jax.Array) -> jax.Array:
    """The covariance of one-hot classes, times a step of their log-probabilities."""
    mean_step = jnp.sum(probabilities * step, axis=-1, keepdims=True)
    return probabilities * (step - mean_step)
