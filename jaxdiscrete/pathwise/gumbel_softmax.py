"""f at a relaxed sample: Gumbel-Softmax, and its deterministic limit, the mean."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import draw_relaxed, freeze, mean, threshold
from jaxdiscrete.core.needs import RELAXABLE, REPARAMETRISABLE, check_latents
from jaxdiscrete.core.numbers import check_count, positive_temperature
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.distributions.categorical import OneHotCategorical
from jaxdiscrete.pathwise.mechanism import hard_forward, pathwise, relaxed


@facts(
    needs=RELAXABLE,
    is_unbiased=False,
    differentiates=True,
    is_relaxed=True,
    reference="",
)
def mean_field(f: Objective, *, has_aux: bool = False) -> Estimator:
    r"""Biased: f at the mean, as if expectation and f could be exchanged.

    :math:`f(E_{q_\phi}[z])`, deterministic. Biased unless f is linear in z. One call of
    ``f``, which must be differentiable in z and meaningful at the mean.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value at the mean; any key will do,
      its value is not used.

    Raises:
      TypeError, ValueError: when called, if f does not return one real scalar or is
        not differentiable in z, or if q cannot be relaxed.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.0, 0.0]))
      >>> estimate = jd.mean_field(lambda z: z[0] * z[1])
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits)
      [0.125 0.125]
    """

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        del key
        return mean(q)

    return pathwise("mean_field", f, sample, has_aux=has_aux)


@facts(
    needs=REPARAMETRISABLE,
    is_unbiased=False,
    differentiates=True,
    is_relaxed=True,
    reference="Jang et al. 2017; Maddison et al. 2017",
)
def gumbel_softmax(
    f: Objective, *, temperature: PyTree, has_aux: bool = False
) -> Estimator:
    r"""Biased: the pathwise gradient of the Gumbel-Softmax or Concrete relaxation.

    :math:`f(\mathrm{softmax}((\log\pi + g)/\lambda))` with Gumbel noise; Bernoulli
    variables take the logistic form :math:`\sigma((a + l)/\lambda)`. Unbiased for the
    relaxed objective, biased for the discrete one, less so at low temperature,
    where the variance grows. One call of ``f``, at the relaxed sample: f must be
    differentiable in z, and meaningful between the hard values, without jumps
    (:func:`jaxdiscrete.testing.assert_differentiable` looks for them).

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      temperature: :math:`\lambda > 0`; one number, an array of the latent's shape,
        or a pytree of q's structure. Its gradient is that of the loss, unlike in
        REBAR. At or below :func:`critical_temperature` the density is convex.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, f at the relaxed sample.

    Raises:
      ValueError: if a temperature is known and not positive; when called, if
        shapes do not fit.
      TypeError: when called, if f does not return one real scalar or is not
        differentiable in z, or if q cannot be relaxed.

    Example:
      >>> q = jd.OneHotCategorical(jnp.zeros(3))
      >>> f = lambda z: jnp.dot(z, jnp.arange(3.0))
      >>> estimate = jd.gumbel_softmax(f, temperature=0.5)
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits.shape)
      (3,)

    References:
      E. Jang, S. Gu, B. Poole, Categorical reparameterization with Gumbel-Softmax,
      2017.
      C. J. Maddison, A. Mnih, Y. W. Teh, The Concrete distribution, 2017.
    """
    temperature = positive_temperature(temperature)

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        return relaxed(q, draw_relaxed(key, q), temperature)

    return pathwise(
        "gumbel_softmax", f, sample, needs=REPARAMETRISABLE, has_aux=has_aux
    )


def sample_gumbel_softmax(
    key: jax.Array, logits: ArrayLike, temperature: ArrayLike, hard: bool = False
) -> jax.Array:
    """A Gumbel-Softmax sample of a categorical, differentiable in the logits.

    Args:
      key: PRNG key.
      logits: ``[..., K]``, unnormalised, ``-inf`` for a masked class.
      temperature: positive, a scalar or of the batch shape ``[...]``.
      hard: whether the value is the one-hot of the argmax, with the derivative of
        the relaxed sample (straight through). Default: the relaxed sample.

    Returns:
      ``[..., K]``, rows on the simplex, in the dtype of the logits.

    Raises:
      TypeError, ValueError: if logits are not floating or the temperature is known
        and not positive.

    Example:
      >>> logits = jnp.array([0.0, 1.0, -jnp.inf])
      >>> soft = jd.sample_gumbel_softmax(jax.random.key(0), logits, 0.5)
      >>> print(np.asarray(soft).round(2))
      [0.19 0.81 0.  ]
      >>> print(jd.sample_gumbel_softmax(jax.random.key(0), logits, 0.5, hard=True))
      [0. 1. 0.]

    References:
      E. Jang, S. Gu, B. Poole, Categorical reparameterization with Gumbel-Softmax,
      2017.
    """
    temperature = positive_temperature(temperature)
    q = OneHotCategorical(jnp.asarray(logits))
    check_latents("sample_gumbel_softmax", q)
    zeta = draw_relaxed(key, q)
    soft = relaxed(q, zeta, temperature)
    return hard_forward(threshold(q, freeze(zeta)), soft) if hard else soft


def critical_temperature(num_classes: int) -> float:
    """``1 / (K - 1)``: at or below it the Concrete density is log-convex.

    A sample then has no mode inside the simplex, only at its corners, so that a
    relaxed sample is nearly discrete. For binary variables it is 1.

    Args:
      num_classes: ``K >= 2``.

    Returns:
      The temperature, a float.

    Raises:
      TypeError, ValueError: if ``num_classes`` is not an integer of at least 2.

    Example:
      >>> print(jd.critical_temperature(5))
      0.25

    References:
      C. J. Maddison, A. Mnih, Y. W. Teh, The Concrete distribution, 2017,
      proposition 1.
    """
    remedy = "A variable with one class has no relaxation."
    check_count("critical_temperature", "num_classes", num_classes, 2, remedy)
    return 1.0 / (num_classes - 1)
