"""Double control variates: leave-one-out with the slopes of the other samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.latents import (
    broadcast_to_latents,
    mean,
    parameters_in_float32,
)
from jaxdiscrete.core.needs import RELAXABLE
from jaxdiscrete.core.rules import linear_form
from jaxdiscrete.core.scores import score
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.multi_sample.mechanism import Samples, multi_sample_with_slopes
from jaxdiscrete.multi_sample.others import less_mean_of_others, mean_of_others
from jaxdiscrete.score_function.mechanism import add_gradients


@facts(
    calls=EVERY_SAMPLE,
    needs=RELAXABLE,
    differentiates=True,
    reference="Titsias & Shi 2022",
)
def double_cv(
    f: Objective,
    *,
    num_samples: int,
    scale: PyTree,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Leave-one-out with a second, linear control variate from the other samples.

    With :math:`\mu = E_{q_\phi}[z]`, the mean slope of the others
    :math:`a_k = \frac{1}{K-1}\sum_{j\ne k} f'(z_j)` and
    :math:`h_k = f(z_k) - \eta\,a_k\cdot(z_k - \mu)`, the gradient estimate is

    .. math:: \frac1K\sum_k \Big(h_k - \frac{1}{K-1}\sum_{j\ne k} h_j\Big)
              \nabla_\phi\log q_\phi(z_k)
              + \frac{\eta}{K}\sum_k a_k\cdot\nabla_\phi\mu.

    Unbiased for every scale: given the other samples, :math:`a_j\cdot(z_j-\mu)` has
    mean zero. Without variance for linear f at scale 1; with scale 0 it is
    :func:`reinforce_loo`. ``K`` calls of ``f`` and one derivative each, at the hard
    samples: f must be differentiable in z there.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``K >= 2``. Static.
      scale: :math:`\eta`; one number, an array of the latent's shape, which weights
        the terms of the inner product, or a pytree of q's structure. Arrays are
        trained by the variance. Start from 0: where the derivative at a hard sample
        says little of f at the others, as for :math:`(z-\tfrac12)^2` on bits, 1 adds
        variance.
      chunk_size: how many samples run at a time, as in :func:`reinforce_loo`. Static.
        Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of K. What leaves through aux gets no credit for what happens to it
        later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if shapes do not fit.
      TypeError: when called, if f does not return one real scalar or is not
        differentiable in z, or if q cannot be relaxed.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      >>> f = lambda z: 3.0 * z.sum()  # linear: no variance
      >>> estimate = jd.double_cv(f, num_samples=2, scale=1.0)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(4))
      [0.705 0.705]

    References:
      M. K. Titsias, J. Shi, Double control variates for gradient estimation in
      discrete latent variable models, 2022.
    """

    def parameters(q: PyTree) -> tuple[PyTree]:
        return (broadcast_to_latents("scale", scale, q),)

    def gradient(samples: Samples, eta: PyTree) -> PyTree:
        q, z, signals, slopes = samples
        scores = jax.vmap(lambda x: score(q, x))(z)
        means, pull_through_mean = jax.vjp(mean, parameters_in_float32(q))
        slopes = jax.tree.map(lambda s, m: s.astype(m.dtype), slopes, means)
        deviations = jax.vmap(
            lambda x: jax.tree.map(lambda a, m: a.astype(m.dtype) - m, x, means)
        )(z)

        def scale_one(slope: PyTree) -> PyTree:
            return jax.tree.map(
                lambda c, s: jnp.asarray(c).astype(s.dtype) * s, eta, slope
            )

        scaled = jax.vmap(scale_one)(slopes)
        controls = jax.vmap(_dot)(jax.tree.map(mean_of_others, scaled), deviations)
        h = signals - controls.astype(signals.dtype)
        weights = less_mean_of_others(h) / num_samples
        weighted = jax.vmap(
            lambda w, x: jax.tree.map(lambda s: w.astype(s.dtype) * s, x)
        )(weights, scores)
        g = jax.tree.map(lambda s: s.sum(axis=0), weighted)
        average = jax.tree.map(lambda s: s.mean(axis=0), scaled)
        return add_gradients(g, pull_through_mean(average)[0])

    return multi_sample_with_slopes(
        "double_cv",
        f,
        gradient,
        parameters=parameters,
        num_samples=num_samples,
        remedy="The slope at each sample comes from the others.",
        chunk_size=chunk_size,
        sharding=sharding,
        needs=RELAXABLE,
        has_aux=has_aux,
    )


def _dot(a: PyTree, b: PyTree) -> jax.Array:
    return linear_form(jax.tree.leaves(a), jax.tree.leaves(b))
