"""CARMS: any number of categorical samples that repel one another."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.facts import EVERY_SAMPLE, facts
from jaxdiscrete.core.latents import flatten, map_to_pairs, pull_through, split_for
from jaxdiscrete.core.needs import FINITE
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.typing import Estimator, Finite, Objective, PyTree
from jaxdiscrete.coupled.copulas import Copula, dirichlet_copula
from jaxdiscrete.coupled.mechanism import coupled
from jaxdiscrete.coupled.stick_breaking import first_break, sample_of, stick_logits


@facts(calls=EVERY_SAMPLE, needs=FINITE, reference="Dimitriev & Zhou 2021")
def carms(
    f: Objective,
    *,
    num_samples: int,
    copula: Copula = dirichlet_copula,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Antithetic REINFORCE with several samples, for categorical variables.

    Each pair of the n samples is weighted, in every variable, by the ratio of the
    probability of its two classes under independence to that under the coupling,
    :math:`r = q(z_i)\,q(z_j)\,/\,P(z_i, z_j)`. The gradient estimate for the logits
    is :math:`\frac{1}{n(n-1)}\sum_{i<j} (f(z_i) - f(z_j))(z_i - z_j)\,r_{ij}`.
    Unbiased. ``num_samples`` calls of ``f``, which need not be differentiable in z.

    The debiasing by a ratio of joint probabilities is that of the paper; the coupled
    samples are those of stick-breaking. Each class of a variable is a stick that
    breaks with the probability of that class among itself and those after it, in n
    samples from a copula of its own, and a sample is the first that breaks. In
    ascending order of probability no stick breaks with more than 1/2, so that any two
    classes can meet. For an antithetic pair, n = 2 with either copula, r is then at
    most 1, and the variance for a single variable at most that of
    :func:`reinforce_loo`, whatever f is.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``n >= 2``. Static.
      copula: how the samples of a stick depend on one another, as in :func:`arms`.
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
      TypeError: when called, if q holds anything but variables with classes.

    Example:
      >>> q = jd.OneHotCategorical(jnp.zeros(3))
      >>> f = lambda z: jnp.dot(z, jnp.array([0.0, 3.0, 9.0]))
      >>> estimate = jd.monte_carlo(jd.carms(f, num_samples=5), num_repeats=2_000)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(1))
      [-1.3 -0.3  1.7]

    References:
      A. Dimitriev, M. Zhou, CARMS: categorical-antithetic-REINFORCE multi-sample
      gradient estimator, 2021.
    """
    remedy = "With one sample use jaxdiscrete.reinforce or jaxdiscrete.nvil."
    check_count("carms", "num_samples", num_samples, 2, remedy)

    def sample(key: jax.Array, q: PyTree) -> tuple[PyTree, list[jax.Array]]:
        def one(d: Finite, k: jax.Array) -> tuple[jax.Array, jax.Array]:
            table = d.log_probabilities()
            order = jnp.argsort(table, axis=-1)
            # Rounding may lift a probability of 1/2 above it.
            p = jnp.minimum(jax.nn.sigmoid(stick_logits(table, order)), 0.5)
            breaks, correlation = copula(k, num_samples, p)
            rank = first_break(breaks)
            return sample_of(d, order, rank), pair_weights(p, correlation, rank)

        return map_to_pairs(one, q, split_for(key, q))

    def gradient(
        q: PyTree, z: PyTree, weights: list[jax.Array], signals: jax.Array
    ) -> PyTree:
        differences = signals[:, None] - signals[None, :]
        leaves, treedef = flatten(q)

        def one(d: Finite, samples: jax.Array, ratio: jax.Array) -> jax.Array:
            # Each unordered pair twice, once for the class of either sample.
            signal = jnp.einsum(
                "ij,ij...->i...", differences.astype(ratio.dtype), ratio
            )
            classes = jax.vmap(d.to_classes)(samples)
            drawn = jax.nn.one_hot(classes, d.num_classes, dtype=ratio.dtype)
            g = jnp.einsum("i...,i...k->...k", signal, drawn)
            return g / (num_samples * (num_samples - 1))

        rows = zip(leaves, treedef.flatten_up_to(z), weights, strict=True)
        to_table = [one(*row) for row in rows]
        return pull_through(lambda d: d.log_probabilities(), q, to_table)

    return coupled(
        "carms",
        f,
        sample=sample,
        gradient=gradient,
        needs=FINITE,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )


def pair_weights(p: jax.Array, correlation: jax.Array, rank: jax.Array) -> jax.Array:
    r"""Independent over joint probability of every pair of samples, zero for equals.

    The sticks before the first that breaks in either sample held in both, which has
    the ratio :math:`1/(1 + \rho p/(1-p))`; the stick that broke in one and held in
    the other has :math:`1/(1 - \rho)`; the ones after it were tried by one sample
    alone.

    Args:
      p: ``[..., K - 1]``, the probabilities of the sticks.
      correlation: ``[..., K - 1]``, of two samples of a stick.
      rank: ``[n, ...]``, which stick was the first to break.

    Returns:
      ``[n, n, ...]``.
    """
    held = -jnp.log1p(correlation * p / (1.0 - p))
    # The sum over the sticks before. The last one is left out: two samples that both
    # hold there are the same, and at p = 1/2 it would be infinite.
    held = jnp.concatenate([jnp.zeros_like(held[..., :1]), held[..., :-1]], axis=-1)
    ratio = jnp.exp(jnp.cumsum(held, axis=-1)) / (1.0 - correlation)
    none_left = jnp.zeros_like(ratio, shape=(*ratio.shape[:-1], 1))
    ratio = jnp.concatenate([ratio, none_left], axis=-1)
    one, other = rank[:, None], rank[None, :]
    pick = jax.vmap(jax.vmap(lambda r: jnp.take_along_axis(ratio, r[..., None], -1)))
    picked = pick(jnp.minimum(one, other))[..., 0]
    return jnp.where(one == other, 0.0, picked)
