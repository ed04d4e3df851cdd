"""Gumbel-Rao: straight-through Gumbel-Softmax averaged over its noise."""

from __future__ import annotations

import jax

from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import draw, freeze, map_latents, split_for
from jaxdiscrete.core.needs import RELAXABLE
from jaxdiscrete.core.numbers import check_count, positive_temperature
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.pathwise.mechanism import (
    hard_forward,
    moving_location,
    pathwise,
    relaxed,
)


@facts(
    needs=RELAXABLE,
    is_unbiased=False,
    differentiates=True,
    reference="Paulus et al. 2021",
)
def gumbel_rao(
    f: Objective, *, temperature: PyTree, num_noise: int, has_aux: bool = False
) -> Estimator:
    r"""Biased: straight-through Gumbel-Softmax, Rao-Blackwellised by Monte Carlo.

    The hard sample z is drawn first, then ``K`` relaxed samples given z. The gradient
    estimate is :math:`f'(z)\,\frac1K\sum_k\nabla_\phi s_k` with
    :math:`s_k = \mathrm{softmax}((a + g_k)/\lambda)` (:math:`\sigma` for Bernoulli),
    where :math:`g_k` is noise given that z is the threshold of :math:`a + g_k`, held
    constant in the derivative. The same mean, and so the same bias, as
    :func:`straight_through_gumbel_softmax`; of its variance, the part that is due to
    the noise given z is divided by ``K``. One call of ``f``, at the hard sample: f
    must be differentiable in z there.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      temperature: :math:`\lambda > 0`, as in :func:`gumbel_softmax`. Its gradient is
        that of the surrogate loss.
      num_noise: ``K >= 1`` relaxed samples, which cost noise and memory and no call
        of f. Static.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z).

    Raises:
      ValueError: if a temperature is known and not positive or ``num_noise < 1``;
        when called, if shapes do not fit.
      TypeError: when called, if f does not return one real scalar or is not
        differentiable in z, or if q cannot be relaxed.

    Example:
      >>> q = jd.OneHotCategorical(jnp.zeros(3))
      >>> f = lambda z: jnp.dot(z, jnp.arange(3.0))
      >>> for num_noise in (1, 100):
      ...     estimate = jd.gumbel_rao(f, temperature=0.2, num_noise=num_noise)
      ...     grads = jax.vmap(jax.grad(estimate, 1), (0, None))(
      ...         jax.random.split(jax.random.key(0), 200), q)
      ...     print(f"{grads.logits.std(0).max():.1f}")
      0.7
      0.1

    References:
      M. B. Paulus, C. J. Maddison, A. Krause, Rao-Blackwellizing the
      straight-through Gumbel-Softmax gradient estimator, 2021.
    """
    temperature = positive_temperature(temperature)
    remedy = "One relaxed sample is as noisy as straight_through_gumbel_softmax."
    check_count("gumbel_rao", "num_noise", num_noise, 1, remedy)

    def sample(key: jax.Array, q: PyTree) -> PyTree:
        key_sample, key_noise = jax.random.split(key)
        z = draw(key_sample, q)

        def soft(k: jax.Array) -> PyTree:
            given = map_latents(
                lambda d, k, x: d.conditional_relaxed_sample(k, x),
                freeze(q),
                split_for(k, q),
                z,
            )
            zeta = map_latents(lambda d, x: x + moving_location(d), q, freeze(given))
            return relaxed(q, zeta, temperature)

        samples = jax.vmap(soft)(jax.random.split(key_noise, num_noise))
        return hard_forward(z, jax.tree.map(lambda s: s.mean(axis=0), samples))

    return pathwise("gumbel_rao", f, sample, has_aux=has_aux)
