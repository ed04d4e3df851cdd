"""ARMS: any number of binary samples that repel one another."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import check_count, check_kind
from jaxdiscrete.core.latents import map_to_pairs, split_for
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.coupled.copulas import Copula, dirichlet_copula
from jaxdiscrete.coupled.mechanism import coupled
from jaxdiscrete.distributions import Bernoulli


def arms(
    f: Objective,
    *,
    num_samples: int,
    copula: Copula = dirichlet_copula,
    has_aux: bool = False,
) -> Estimator:
    r"""Antithetic REINFORCE with several samples, for binary variables.

    Each variable has n samples of correlation :math:`\rho < 0` between any two, from
    a copula of its own. The gradient estimate is :math:`\frac{1}{n-1}\sum_i
    (f(z_i) - \bar f)(z_i - p)\,/\,(1 - \rho)`, with :math:`p = \sigma(a)` for logits
    a. Unbiased. ``num_samples`` calls of ``f``, which need not be differentiable in
    z.

    For two samples it is :func:`disarm`; independent ones, :math:`\rho = 0`, would be
    :func:`reinforce_loo`. At equal calls of f it has less variance than that for one
    variable, and for a linear f of variables with similar p. It can have more: where p
    is near 0 or 1 little is divided by :math:`1-\rho`, and the coupling of the other
    variables is noise.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``n >= 2``. Static.
      copula: how the samples of a variable depend on one another:
        :func:`dirichlet_copula`, :func:`gaussian_copula`, or your own
        ``copula(key, num_samples, rare_probability) -> (is_rare, correlation)``.
        Default: Dirichlet.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of n.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli`.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.arms(lambda z: 4.0 * z.sum(), num_samples=5)
      >>> estimate = jd.monte_carlo(estimate, num_samples=2_000)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(1))
      [1. 1. 1.]

    References:
      A. Dimitriev, M. Zhou, ARMS: antithetic-REINFORCE-multi-sample gradient for
      binary variables, 2021.
    """
    remedy = "With one sample use jaxdiscrete.reinforce or jaxdiscrete.nvil."
    check_count("arms", "num_samples", num_samples, 2, remedy)

    def sample(key: jax.Array, q: PyTree) -> tuple[PyTree, list[jax.Array]]:
        def one(d: Bernoulli, k: jax.Array) -> tuple[jax.Array, jax.Array]:
            location = d.location()
            rare_probability = jax.nn.sigmoid(-jnp.abs(location))
            is_rare, correlation = copula(k, num_samples, rare_probability)
            z = jnp.logical_xor(location[None] > 0, is_rare).astype(location.dtype)
            z = jnp.where(jnp.isnan(location)[None], jnp.nan, z)
            return z.astype(d.dtype), correlation

        return map_to_pairs(one, q, split_for(key, q))

    def gradient(
        q: PyTree, z: PyTree, correlations: list[jax.Array], signals: jax.Array
    ) -> list[jax.Array]:
        centred = signals - signals.mean()

        def one(samples: jax.Array, correlation: jax.Array) -> jax.Array:
            # The mean sample in place of p: the signals sum to zero, and with p their
            # rounding errors would count.
            samples = samples.astype(correlation.dtype)
            samples = samples - samples.mean(axis=0, keepdims=True)
            products = jnp.tensordot(centred.astype(samples.dtype), samples, axes=1)
            return products / ((num_samples - 1) * (1.0 - correlation))

        return [one(*x) for x in zip(jax.tree.leaves(z), correlations, strict=True)]

    return coupled(
        f,
        check=lambda q: check_kind("arms", q, Bernoulli, variables="binary"),
        sample=sample,
        gradient=gradient,
        has_aux=has_aux,
    )
