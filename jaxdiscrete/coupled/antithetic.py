"""ARM and DisARM: pairs of binary samples from one noise and its mirror image."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.facts import EVERY_SAMPLE, TWO, facts
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
from jaxdiscrete.coupled.mechanism import coupled
from jaxdiscrete.noise import sample_logistic


def sample_pairs(
    key: jax.Array, q: PyTree, num_pairs: int
) -> tuple[PyTree, list[jax.Array]]:
    """Independent pairs of binary samples, from logistic noise and from its negative.

    Args:
      key: PRNG key.
      q: pytree of binary distributions.
      num_pairs: how many. Static.

    Returns:
      Samples along a leading axis of ``2 * num_pairs``, pair by pair, and the noise of
      every distribution, ``[num_pairs, ...]``.
    """

    def one(d: Finite, k: jax.Array) -> tuple[jax.Array, jax.Array]:
        a = log_odds(d)[None]
        # One draw for all pairs: a key for each would be a second program of bits.
        noise = sample_logistic(k, (num_pairs, *a.shape[1:])).astype(a.dtype)
        classes = jnp.stack([a + noise > 0, a - noise > 0], axis=1).astype(jnp.int32)
        return d.from_classes(classes.reshape(-1, *a.shape[1:])), noise

    return map_to_pairs(one, q, split_for(key, q))


def split_pairs(x: jax.Array) -> jax.Array:
    """The leading axis as pairs.

    Args:
      x: ``[2 * pairs, ...]``.

    Returns:
      ``[pairs, 2, ...]``.
    """
    return x.reshape(-1, 2, *x.shape[1:])


@facts(calls=TWO, needs=BINARY, reference="Yin & Zhou 2019")
def arm(
    f: Objective,
    *,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Augment-REINFORCE-merge, for binary variables.

    With :math:`u` uniform, :math:`z = 1[u > \sigma(-a)]` and
    :math:`z' = 1[u < \sigma(a)]` for logits a, the gradient estimate is
    :math:`(f(z) - f(z'))(u - \tfrac12)`. Unbiased. 2 calls of ``f``, which need not be
    differentiable in z. :func:`disarm` integrates out what is left of u, and is never
    worse.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      chunk_size: at how many samples f runs at a time, each chunk recomputed in the
        backward pass. Static. Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of 2. What leaves through aux gets no credit for what happens to it
        later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of the two values. Reverse mode,
      first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: when called, if f does not return one real scalar.
      TypeError: when called, if q holds anything but binary variables.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.monte_carlo(jd.arm(lambda z: z.sum()), num_repeats=10_000)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(2))
      [0.25 0.25 0.25]

    References:
      M. Yin, M. Zhou, ARM: augment-REINFORCE-merge gradient for stochastic binary
      networks, 2019.
    """

    def gradient(
        q: PyTree, z: PyTree, noise: list[jax.Array], signals: jax.Array
    ) -> PyTree:
        difference = signals[0] - signals[1]
        # u - 1/2 for u = sigmoid(noise).
        to_logits = [
            0.5 * jnp.tanh(0.5 * e[0]) * difference.astype(e.dtype) for e in noise
        ]
        return pull_through(log_odds, q, to_logits)

    return coupled(
        "arm",
        f,
        sample=lambda key, q: sample_pairs(key, q, 1),
        gradient=gradient,
        needs=BINARY,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )


@facts(
    calls=EVERY_SAMPLE,
    needs=BINARY,
    reference="Dong et al. 2020; Yin et al. 2020",
)
def disarm(
    f: Objective,
    *,
    num_samples: int = 2,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""ARM with the augmenting noise integrated out, for binary variables.

    For an antithetic pair the gradient estimate is
    :math:`\tfrac12 (f(z) - f(z'))(z - z')\,\sigma(|a|)` with logits a, averaged over
    pairs. Unbiased. ``num_samples`` calls of ``f``, which need not be differentiable
    in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: an even number, two per pair. Static. Default: 2.
      chunk_size: at how many samples f runs at a time, each chunk recomputed in the
        backward pass. Static. Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of ``num_samples``, pair by pair. What leaves through aux gets no
        credit for what happens to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples`` is odd or less than 2; when called, if f does not
        return one real scalar.
      TypeError: when called, if q holds anything but binary variables.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.disarm(lambda z: z.sum(), num_samples=10_000)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(2))
      [0.25 0.26 0.25]

    References:
      Z. Dong, A. Mnih, G. Tucker, DisARM: an antithetic gradient estimator for
      binary latent variables, 2020.
      M. Yin, N. Ho, B. Yan, X. Qian, M. Zhou, Probabilistic best subset selection by
      gradient-based optimization, 2020.
    """
    check_pairs("disarm", num_samples)
    num_pairs = num_samples // 2

    def gradient(q: PyTree, z: PyTree, noise: None, signals: jax.Array) -> PyTree:
        return disarm_gradient(q, z, signals / num_pairs)

    return coupled(
        "disarm",
        f,
        sample=lambda key, q: (sample_pairs(key, q, num_pairs)[0], None),
        gradient=gradient,
        needs=BINARY,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
    )


def disarm_gradient(q: PyTree, z: PyTree, signals: jax.Array) -> PyTree:
    """DisARM's gradient, summed over antithetic pairs.

    Args:
      q: pytree of binary distributions, frozen.
      z: samples pair by pair, as from :func:`sample_pairs`.
      signals: the values of f at the samples.

    Returns:
      A pytree of q's structure.
    """
    values = split_pairs(signals)
    differences = 0.5 * (values[:, 0] - values[:, 1])
    leaves, treedef = flatten(q)
    to_logits = []
    for d, samples in zip(leaves, treedef.flatten_up_to(z), strict=True):
        a = log_odds(d)
        bits = split_pairs(jax.vmap(d.to_classes)(samples)).astype(a.dtype)
        moved = weighted_sum(differences, bits[:, 0] - bits[:, 1])
        to_logits.append(moved * jax.nn.sigmoid(jnp.abs(a)))
    return pull_through(log_odds, q, to_logits)


def check_pairs(name: str, num_samples: int) -> None:
    """Raises unless samples come in pairs.

    Args:
      name: public name of the estimator, for the message.
      num_samples: how many.

    Raises:
      TypeError, ValueError: if it is not an even integer of at least 2.
    """
    remedy = "Samples come in antithetic pairs: ask for 2, 4, 6, ..."
    check_count(name, "num_samples", num_samples, 2, remedy)
    if num_samples % 2:
        raise ValueError(
            f"Expected an even num_samples in jaxdiscrete.{name}, got {num_samples}. "
            f"{remedy}"
        )
