"""ARM and DisARM: pairs of binary samples from one noise and its mirror image."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import check_count, check_kind
from jaxdiscrete.core.latents import map_latents, split_for
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.coupled.mechanism import coupled, mean_of_groups
from jaxdiscrete.distributions import Bernoulli
from jaxdiscrete.noise import sample_logistic


def sample_pair(key: jax.Array, q: PyTree) -> tuple[PyTree, PyTree]:
    """Two Bernoulli samples, from logistic noise and from its negative.

    Args:
      key: PRNG key.
      q: pytree of Bernoulli distributions.

    Returns:
      The samples, along a leading axis of 2, and the noise, both of q's structure.
    """

    def draw_noise(d: Bernoulli, k: jax.Array) -> jax.Array:
        location = d.location()
        return sample_logistic(k, location.shape).astype(location.dtype)

    def pair(d: Bernoulli, e: jax.Array) -> jax.Array:
        location = d.location()
        return jnp.stack([d.threshold(location + e), d.threshold(location - e)])

    noise = map_latents(draw_noise, q, split_for(key, q))
    return map_latents(pair, q, noise), noise


def arm(f: Objective, *, has_aux: bool = False) -> Estimator:
    r"""Augment-REINFORCE-merge, for binary variables.

    With :math:`u` uniform, :math:`z = 1[u > \sigma(-a)]` and
    :math:`z' = 1[u < \sigma(a)]` for logits a, the gradient estimate is
    :math:`(f(z) - f(z'))(u - \tfrac12)`. Unbiased. 2 calls of ``f``, which need not be
    differentiable in z. :func:`disarm` integrates out what is left of u, and is never
    worse.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of 2.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of the two values. Reverse mode,
      first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: when called, if f does not return one real scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli`.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.monte_carlo(jd.arm(lambda z: z.sum()), num_samples=10_000)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(2))
      [0.25 0.25 0.25]

    References:
      M. Yin, M. Zhou, ARM: augment-REINFORCE-merge gradient for stochastic binary
      networks, 2019.
    """

    def gradient(
        q: PyTree, z: PyTree, noise: PyTree, signals: jax.Array
    ) -> list[jax.Array]:
        difference = signals[0] - signals[1]

        def one(d: Bernoulli, e: jax.Array) -> jax.Array:
            # u - 1/2 for u = sigmoid(noise); a constant has no gradient.
            centred = jnp.where(jnp.isinf(d.logits), 0.0, 0.5 * jnp.tanh(0.5 * e))
            return centred * difference.astype(e.dtype)

        return jax.tree.leaves(map_latents(one, q, noise))

    return coupled(
        f,
        check=lambda q: check_kind("arm", q, Bernoulli, variables="binary"),
        sample=sample_pair,
        gradient=gradient,
        has_aux=has_aux,
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
      num_samples: an even number, two a pair. Static. Default: 2.
      chunk_size: how many pairs run at a time, each chunk recomputed in the backward
        pass. Static. Default: all at once.
      sharding: where the pairs lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of ``num_samples``, pair by pair.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples`` is odd or less than 2; when called, if f does not
        return one real scalar.
      TypeError: when called, if q holds anything but :class:`Bernoulli`.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.disarm(lambda z: z.sum(), num_samples=10_000)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(2))
      [0.24 0.25 0.25]

    References:
      Z. Dong, A. Mnih, G. Tucker, DisARM: an antithetic gradient estimator for
      binary latent variables, 2020.
      M. Yin, N. Ho, B. Yan, X. Qian, M. Zhou, Probabilistic best subset selection by
      gradient-based optimization, 2020.
    """
    check_pairs("disarm", num_samples)

    def gradient(
        q: PyTree, z: PyTree, noise: PyTree, signals: jax.Array
    ) -> list[jax.Array]:
        return disarm_gradient(q, z, signals)

    pair = coupled(
        f,
        check=lambda q: check_kind("disarm", q, Bernoulli, variables="binary"),
        sample=sample_pair,
        gradient=gradient,
        has_aux=has_aux,
    )
    return mean_of_groups(pair, num_samples // 2, chunk_size, sharding, has_aux)


def disarm_gradient(q: PyTree, z: PyTree, signals: jax.Array) -> list[jax.Array]:
    """DisARM's gradient from one antithetic pair.

    Args:
      q: pytree of Bernoulli distributions, frozen.
      z: the pair, as from :func:`sample_pair`.
      signals: ``[2]``, the values of f at the two.

    Returns:
      An array for every leaf of q, in tree order.
    """
    difference = 0.5 * (signals[0] - signals[1])

    def one(d: Bernoulli, pair: jax.Array) -> jax.Array:
        location = d.location()
        pair = pair.astype(location.dtype)
        weight = jax.nn.sigmoid(jnp.abs(location))
        return difference.astype(location.dtype) * (pair[0] - pair[1]) * weight

    return jax.tree.leaves(map_latents(one, q, z))


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
