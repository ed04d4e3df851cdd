"""ARSM: categorical samples from one noise with its entries swapped."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.facts import SWAPS, facts
from jaxdiscrete.core.latents import latents, map_to_pairs, pull_through, split_for
from jaxdiscrete.core.needs import FINITE
from jaxdiscrete.core.typing import Estimator, Finite, Objective, PyTree
from jaxdiscrete.coupled.mechanism import coupled
from jaxdiscrete.noise import sample_exponential


@facts(calls=SWAPS, needs=FINITE, reference="Yin et al. 2019")
def arsm(
    f: Objective,
    *,
    chunk_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    has_aux: bool = False,
) -> Estimator:
    r"""Augment-REINFORCE-swap-merge, for categorical variables.

    With :math:`\varpi` uniform on the simplex of K classes, :math:`z^{m,j}` is the
    class of the least :math:`\varpi_i e^{-a_i}` for logits a, after entries m and j
    of :math:`\varpi` have been swapped, in all variables at once. The gradient
    estimate for :math:`a_m` is :math:`\sum_j (f(z^{m,j}) - \frac1K\sum_i
    f(z^{i,j}))(\frac1K - \varpi_j)`. Unbiased. ``K (K - 1) / 2 + 1`` calls of ``f``,
    one for each different swap, which need not be differentiable in z. For two
    classes it is :func:`arm`.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      chunk_size: at how many samples f runs at a time, each chunk recomputed in the
        backward pass. Static. Default: all at once.
      sharding: where the samples lie, as in :func:`reinforce_loo`. Default: as the
        compiler decides.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux with a
        leading axis of all swaps, the one without a swap first. What leaves through aux
        gets no credit for what happens to it later: see :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f over the swaps, each of
      which is a sample of q. Reverse mode, first order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: when called, if f does not return one real scalar, or if the
        variables have different numbers of classes.
      TypeError: when called, if q holds anything but variables with classes.

    Example:
      >>> q = jd.OneHotCategorical(jnp.zeros(3))
      >>> f = lambda z: jnp.dot(z, jnp.array([0.0, 3.0, 9.0]))
      >>> estimate = jd.monte_carlo(jd.arsm(f), num_repeats=10_000)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(1))
      [-1.3 -0.3  1.7]

    References:
      M. Yin, Y. Yue, M. Zhou, ARSM: augment-REINFORCE-swap-merge estimator for
      gradient backpropagation through categorical variables, 2019.
    """

    def sample(key: jax.Array, q: PyTree) -> tuple[PyTree, list[jax.Array]]:
        permutations, _ = _swaps(latents(q)[0].num_classes)

        def one(d: Finite, k: jax.Array) -> tuple[jax.Array, jax.Array]:
            table = d.log_probabilities()
            noise = sample_exponential(k, table.shape).astype(table.dtype)
            swapped = jnp.moveaxis(noise[..., permutations], -2, 0)
            classes = jnp.argmax(table[None] - jnp.log(swapped), axis=-1)
            z = d.from_classes(classes.astype(jnp.int32))
            return z, noise / noise.sum(axis=-1, keepdims=True)

        return map_to_pairs(one, q, split_for(key, q))

    def gradient(
        q: PyTree, z: PyTree, simplex: list[jax.Array], signals: jax.Array
    ) -> PyTree:
        num_classes = latents(q)[0].num_classes
        values = signals[_swaps(num_classes)[1]]
        centred = values - values.mean(axis=0, keepdims=True)

        def one(d: Finite, varpi: jax.Array) -> jax.Array:
            offset = 1.0 / num_classes - varpi
            g = jnp.einsum("mj,...j->...m", centred.astype(varpi.dtype), offset)
            # Its expectation is zero there, and not its value.
            return jnp.where(jnp.isneginf(d.log_probabilities()), 0.0, g)

        to_table = [one(*x) for x in zip(latents(q), simplex, strict=True)]
        return pull_through(lambda d: d.log_probabilities(), q, to_table)

    return coupled(
        "arsm",
        f,
        sample=sample,
        gradient=gradient,
        needs=FINITE,
        chunk_size=chunk_size,
        sharding=sharding,
        has_aux=has_aux,
        check=_check_classes,
    )


def _check_classes(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
    counts = sorted({d.num_classes for d in latents(q)})
    if len(counts) > 1:
        raise ValueError(
            "Expected one number of classes in all variables of jaxdiscrete.arsm, "
            "whose swaps are made in all of them at once, got "
            f"{' and '.join(map(str, counts))}. Mask the missing classes with -inf, or "
            "use jaxdiscrete.carms."
        )


def _swaps(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """All different swaps of two classes, and which of them swaps m and j.

    Returns:
      ``(permutations, index)``: ``[K (K - 1) / 2 + 1, K]``, the identity first, and
      ``[K, K]``.
    """
    first, second = np.triu_indices(num_classes, k=1)
    rows = np.arange(1, first.size + 1)
    permutations = np.tile(np.arange(num_classes), (first.size + 1, 1))
    permutations[rows, first] = second
    permutations[rows, second] = first
    index = np.zeros((num_classes, num_classes), int)
    index[first, second] = index[second, first] = rows
    return permutations, index
