"""ARMS: any number of binary samples that repel one another."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.latents import (
    flatten,
    log_odds,
    map_to_pairs,
    pull_through,
    split_for,
)
from jaxdiscrete.core.needs import BINARY
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.precision import weighted_sum
from jaxdiscrete.core.typing import Estimator, Finite, Objective, PyTree
from jaxdiscrete.coupled.copulas import Copula, dirichlet_copula
from jaxdiscrete.coupled.mechanism import coupled


@facts(calls=EVERY_SAMPLE, needs=BINARY, reference="Dimitriev & Zhou 2021")
def arms(
    f: Objective,
    *,
    num_samples: int,
    copula: Copula = dirichlet_copula,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
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
      chunk_size: at how many samples f runs at a time, each chunk recomputed in the
        backward pass. Static. Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of n. What leaves through aux gets no credit for what happens to it
        later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds anything but binary variables.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.arms(lambda z: 4.0 * z.sum(), num_samples=5)
      >>> estimate = jd.monte_carlo(estimate, num_repeats=2_000)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(1))
      [1. 1. 1.]

    References:
      A. Dimitriev, M. Zhou, ARMS: antithetic-REINFORCE-multi-sample gradient for
      binary variables, 2021.
    """
    remedy = "With one sample use jaxdiscrete.reinforce or jaxdiscrete.nvil."
    check_count("arms", "num_samples", num_samples, 2, remedy)

    def sample(key: jax.Array, q: PyTree) -> tuple[PyTree, list[jax.Array]]:
        def one(d: Finite, k: jax.Array) -> tuple[jax.Array, jax.Array]:
            a = log_odds(d)
            is_rare, correlation = copula(k, num_samples, jax.nn.sigmoid(-jnp.abs(a)))
            classes = jnp.logical_xor(a[None] > 0, is_rare).astype(jnp.int32)
            return d.from_classes(classes), correlation

        return map_to_pairs(one, q, split_for(key, q))

    def gradient(
        q: PyTree, z: PyTree, correlations: list[jax.Array], signals: jax.Array
    ) -> PyTree:
        centred = signals - signals.mean()
        leaves, treedef = flatten(q)

        def one(d: Finite, samples: jax.Array, correlation: jax.Array) -> jax.Array:
            # The mean sample in place of p: the signals sum to zero, and with p their
            # rounding errors would count.
            bits = jax.vmap(d.to_classes)(samples).astype(correlation.dtype)
            bits = bits - bits.mean(axis=0, keepdims=True)
            products = weighted_sum(centred, bits)
            return products / ((num_samples - 1) * (1.0 - correlation))

        rows = zip(leaves, treedef.flatten_up_to(z), correlations, strict=True)
        return pull_through(log_odds, q, [one(*row) for row in rows])

    return coupled(
        "arms",
        f,
        sample=sample,
        gradient=gradient,
        needs=BINARY,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )
