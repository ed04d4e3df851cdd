"""Straight-through estimators: f at a hard sample, the derivative of a soft one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import (
    broadcast_to_latents,
    draw,
    draw_relaxed,
    freeze,
    map_latents,
    threshold,
)
from jaxdiscrete.core.needs import FINITE, RELAXABLE, REPARAMETRISABLE
from jaxdiscrete.core.numbers import check_positive, positive_temperature
from jaxdiscrete.core.typing import Estimator, Finite, Objective, PyTree, Relaxable
from jaxdiscrete.pathwise.mechanism import (
    hard_forward,
    map_like_samples,
    mean_of_classes,
    moving_log_probabilities,
    pathwise,
    relaxed,
    temperature_per_variable,
    tempered,
)


@facts(
    needs=RELAXABLE,
    is_unbiased=False,
    differentiates=True,
    reference="Bengio et al. 2013; Chung et al. 2017",
)
def straight_through(
    f: Objective, *, slope: ArrayLike = 1.0, has_aux: bool = False
) -> Estimator:
    r"""Biased: f at the hard sample, differentiated as if it were the mean.

    The gradient estimate is :math:`f'(z)\,\nabla_\phi\,\sigma(s a)` for logits a
    and slope s, with the softmax in place of :math:`\sigma` for categorical
    variables; with slope 1 that is the derivative of :math:`E_{q_\phi}[z]`. Biased
    unless f is linear in z and the slope is 1. One call of ``f``, at the hard sample:
    f must be differentiable in z there.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      slope: :math:`s > 0`, a scalar; raised during training it is the
        slope-annealing of Chung et al. Its gradient is that of the surrogate loss.
        Default: 1.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      ValueError: if the slope is known and not positive.
      TypeError, ValueError: when called, if f does not return one real scalar or is
        not differentiable in z, or if q cannot be relaxed.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.0, 0.0]))
      >>> estimate = jd.straight_through(lambda z: 2.0 * z.sum())
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits)
      [0.5 0.5]

    References:
      Y. Bengio, N. Leonard, A. Courville, Estimating or propagating gradients
      through stochastic neurons for conditional computation, 2013.
      J. Chung, S. Ahn, Y. Bengio, Hierarchical multiscale recurrent neural networks,
      2017.
    """
    check_positive("slope", slope, "1 is the derivative of the mean.")

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        temperature = jnp.reciprocal(jnp.asarray(slope, float))
        soft = map_latents(lambda d: d.relax(d.location(), temperature), q)
        return hard_forward(draw(key, q), soft)

    return pathwise("straight_through", f, sample, has_aux=has_aux)


@facts(
    needs=REPARAMETRISABLE,
    is_unbiased=False,
    differentiates=True,
    reference="Jang et al. 2017",
)
def straight_through_gumbel_softmax(
    f: Objective, *, temperature: PyTree, has_aux: bool = False
) -> Estimator:
    r"""Biased: f at the hard sample, differentiated through the relaxed one.

    The gradient estimate is :math:`f'(z)\,\nabla_\phi s` with
    :math:`s = \mathrm{softmax}(\zeta/\lambda)` (:math:`\sigma` for Bernoulli) and z
    the threshold of the same :math:`\zeta`. Biased. One call of ``f``, at the hard
    sample: f must be differentiable in z there.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      temperature: :math:`\lambda > 0`, as in :func:`gumbel_softmax`. Its gradient is
        that of the surrogate loss.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      TypeError, ValueError: as :func:`gumbel_softmax`.

    Example:
      >>> q = jd.OneHotCategorical(jnp.zeros(3))
      >>> f = lambda z: jnp.dot(z, jnp.arange(3.0))
      >>> estimate = jd.straight_through_gumbel_softmax(f, temperature=0.5)
      >>> print(estimate(jax.random.key(0), q))
      2.0

    References:
      E. Jang, S. Gu, B. Poole, Categorical reparameterization with Gumbel-Softmax,
      2017.
    """
    temperature = positive_temperature(temperature)

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        zeta = draw_relaxed(key, q)
        hard = threshold(q, freeze(zeta))
        return hard_forward(hard, relaxed(q, zeta, temperature))

    name = "straight_through_gumbel_softmax"
    return pathwise(name, f, sample, has_aux=has_aux, needs=REPARAMETRISABLE)


@facts(
    needs=RELAXABLE,
    is_unbiased=False,
    differentiates=True,
    reference="Shah et al. 2024",
)
def decoupled_straight_through(
    f: Objective,
    *,
    forward_temperature: PyTree,
    backward_temperature: PyTree,
    has_aux: bool = False,
) -> Estimator:
    r"""Biased: straight-through Gumbel-Softmax with a temperature for each direction.

    The hard sample z is the threshold of :math:`a/\lambda_f + g` for logits a and noise
    g; the gradient estimate is :math:`f'(z)\,\nabla_\phi s` with
    :math:`s = \mathrm{softmax}((a + g)/\lambda_b)` (:math:`\sigma` for Bernoulli) of
    the same noise. **The forward temperature changes the distribution that is
    sampled** to that of logits :math:`a/\lambda_f`: flatter above 1, where it explores,
    sharper below. With 1 this is :func:`straight_through_gumbel_softmax` at
    :math:`\lambda_b`. Biased. One call of ``f``, at the hard sample: f must be
    differentiable in z there.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      forward_temperature: :math:`\lambda_f > 0`; one number, an array of the latent's
        shape, or a pytree of q's structure. Receives no gradient.
      backward_temperature: :math:`\lambda_b > 0`, of the same form. Its gradient is
        that of the surrogate loss.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      ValueError: if a temperature is known and not positive; when called, if
        shapes do not fit.
      TypeError: when called, if f does not return one real scalar or is not
        differentiable in z, or if q cannot be relaxed.

    Example:
      >>> q = jd.OneHotCategorical(jnp.array([0.0, 0.0, 9.0]))
      >>> estimate = jd.decoupled_straight_through(
      ...     lambda z: z[2], forward_temperature=9.0, backward_temperature=0.5)
      >>> values = jax.vmap(estimate, (0, None))(
      ...     jax.random.split(jax.random.key(0), 10_000), q)
      >>> print(f"{values.mean():.1f}")  # softmax of the logits / 9: .58
      0.6

    References:
      R. Shah, M. Yan, M. C. Mozer, D. Liu, Improving discrete optimisation via
      decoupled straight-through Gumbel-Softmax, 2024.
    """
    forward = positive_temperature(forward_temperature, "forward_temperature")
    backward = positive_temperature(backward_temperature, "backward_temperature")

    def cool(d: Relaxable, zeta: jax.Array, t: ArrayLike) -> jax.Array:
        # a / t + g from a + g, since subtracting a would be NaN for masked classes.
        location = d.location()
        finite = jnp.where(jnp.isneginf(location), 0.0, location)
        return zeta + finite * (1.0 / jnp.asarray(t).astype(finite.dtype) - 1.0)

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        zeta = draw_relaxed(key, q)
        fitted = broadcast_to_latents("forward_temperature", forward, q)
        hard = threshold(q, freeze(map_latents(cool, q, zeta, fitted)))
        soft = relaxed(q, zeta, backward, "backward_temperature")
        return hard_forward(hard, soft)

    return pathwise("decoupled_straight_through", f, sample, has_aux=has_aux)


@facts(
    needs=FINITE,
    is_unbiased=False,
    differentiates=True,
    reference="Fan et al. 2022",
)
def gapped_straight_through(
    f: Objective, *, temperature: PyTree, gap: float = 1.0, has_aux: bool = False
) -> Estimator:
    r"""Biased: straight-through with constants in place of the Gumbel noise.

    For a hard sample z the logits a are shifted by constants, so that the drawn class
    has the largest logit and every other one lies at least ``gap`` below it:
    :math:`\max a` for the drawn class, :math:`\min(a_j, \max a - \mathrm{gap})` for the
    others; for Bernoulli :math:`\max(a, \mathrm{gap})` where z is 1 and
    :math:`\min(a, -\mathrm{gap})` where it is 0. The gradient estimate is
    :math:`f'(z)\,\nabla_\phi s` for the softmax (:math:`\sigma`) s of the shifted
    logits at the temperature; given z it has no noise, unlike that of
    :func:`straight_through_gumbel_softmax`. Biased. One call of ``f``, at the hard
    sample: f must be differentiable in z there.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      temperature: :math:`\lambda > 0`, as in :func:`gumbel_softmax`. Its gradient is
        that of the surrogate loss.
      gap: positive, in units of logits. Receives no gradient. Default: 1.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      ValueError: if a temperature or the gap is known and not positive; when called,
        if shapes do not fit.
      TypeError: when called, if f does not return one real scalar or is not
        differentiable in z, or if q holds anything but variables with classes.

    Example:
      >>> q = jd.Bernoulli(jnp.array([3.0, -0.2]))
      >>> estimate = jd.gapped_straight_through(lambda z: z.sum(), temperature=1.0)
      >>> gradient = jax.grad(estimate, 1)(jax.random.key(0), q)
      >>> print(np.asarray(gradient.logits).round(3))  # slopes at 3 and -1
      [0.045 0.197]

    References:
      T.-H. Fan, T.-C. Chi, A. I. Rudnicky, P. J. Ramadge, Training discrete deep
      generative models via gapped straight-through estimator, 2022.
    """
    temperature = positive_temperature(temperature)
    check_positive("gap", gap, "1 is a good first choice.")

    def soft(d: Finite, z: jax.Array, t: ArrayLike, gap: ArrayLike) -> jax.Array:
        table = d.log_probabilities()
        classes = jnp.arange(d.num_classes, dtype=jnp.int32)
        is_drawn = d.to_classes(z)[..., None] == jnp.broadcast_to(classes, table.shape)
        top = jnp.max(table, axis=-1, keepdims=True)
        margin = jnp.asarray(gap).astype(table.dtype)
        shifted = jnp.where(is_drawn, top, jnp.minimum(table, top - margin))
        moving = freeze(shifted) + moving_log_probabilities(d)
        return mean_of_classes(d, tempered(moving, t))

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        z = draw(key, q)
        fitted = temperature_per_variable("temperature", temperature, q)
        gaps = map_latents(lambda d: gap, q)
        return hard_forward(z, map_like_samples(soft, z, q, z, fitted, gaps))

    return pathwise("gapped_straight_through", f, sample, needs=FINITE, has_aux=has_aux)
