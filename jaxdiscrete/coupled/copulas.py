"""Copulas: uniforms that repel one another, seen through rare binary events."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.typing import ArrayLike

from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.rules import softplus
from jaxdiscrete.multi_sample.others import sum_of_others
from jaxdiscrete.noise import sample_logistic

#: ``copula(key, num_samples, rare_probability) -> (is_rare, correlation)``.
Copula = Callable[[jax.Array, int, jax.Array], tuple[jax.Array, jax.Array]]

# Gauss-Legendre on [0, 1]; with 16 nodes the covariance is exact to rounding.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS


def dirichlet_copula(
    key: jax.Array, num_samples: int, rare_probability: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    r"""Rare events of uniforms that share a stick of length one.

    :math:`v` is Dirichlet with n parameters of 1, and :math:`u_i = (1 - v_i)^{n-1}`
    are n exchangeable uniforms: a large share leaves little for the others. Event i
    is :math:`u_i < q`, and two happen together with probability
    :math:`\max(0, 2q^{1/(n-1)} - 1)^{n-1}`. For n = 2 it is an antithetic pair,
    :math:`u_2 = 1 - u_1`.

    Args:
      key: PRNG key.
      num_samples: ``n >= 2``. Static.
      rare_probability: q, an array of any shape with entries between 0 and 1/2, both
        included. Each entry has a copula of its own.

    Returns:
      ``(is_rare, correlation)``: a boolean array ``[n, *shape]``, and the correlation
      of two events of an entry, ``[*shape]``, in at least float32.

    Raises:
      TypeError, ValueError: if ``num_samples`` is not an integer of at least 2.

    Example:
      >>> is_rare, correlation = jd.dirichlet_copula(jax.random.key(1), 3, 0.25)
      >>> print(is_rare, f"{correlation:.2f}")
      [ True False False] -0.33

    References:
      A. Dimitriev, M. Zhou, ARMS: antithetic-REINFORCE-multi-sample gradient for
      binary variables, 2021.
    """
    q = _checked("dirichlet_copula", num_samples, rare_probability)
    others = num_samples - 1
    # Exponential noise that is exact in both tails: few samples are decided by its
    # small values, many by its large ones.
    logistic = sample_logistic(key, (num_samples, *q.shape)).astype(q.dtype)
    exponential = softplus(logistic)
    total = exponential.sum(axis=0, keepdims=True)
    share, rest = exponential / total, sum_of_others(exponential) / total
    log_rest = jnp.where(share < 0.5, jnp.log1p(-share), jnp.log(rest))
    is_rare = others * log_rest < jnp.log(q)[None]

    log_root = jnp.log(q) / others
    # joint / q^2 - 1, from logarithms because it is small for many samples.
    base_minus_one = 2.0 * jnp.expm1(log_root)
    can_coincide = base_minus_one > -1.0
    log_base = jnp.log1p(jnp.where(can_coincide, base_minus_one, 0.0))
    excess = jnp.expm1(others * (log_base - 2.0 * log_root))
    excess = jnp.where(can_coincide, excess, -1.0)
    return is_rare, excess * q / (1.0 - q)


def gaussian_copula(
    key: jax.Array, num_samples: int, rare_probability: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    r"""Rare events of normals that sum to zero.

    :math:`x` holds n exchangeable normals of correlation :math:`r = -1/(n-1)`, the
    least there can be, and :math:`u_i = \Phi(x_i)`. Event i is :math:`u_i < q`; with
    :math:`h = \Phi^{-1}(q)` two have the covariance
    :math:`\frac{1}{2\pi}\int_0^{\arcsin r} e^{-h^2/(1 + \sin t)}\,dt`. For n = 2 it
    is an antithetic pair, :math:`u_2 = 1 - u_1`.

    Args:
      key: PRNG key.
      num_samples: ``n >= 2``. Static.
      rare_probability: q, an array of any shape with entries between 0 and 1/2, both
        included. Each entry has a copula of its own.

    Returns:
      ``(is_rare, correlation)``: a boolean array ``[n, *shape]``, and the correlation
      of two events of an entry, ``[*shape]``, in at least float32.

    Raises:
      TypeError, ValueError: if ``num_samples`` is not an integer of at least 2.

    Example:
      >>> is_rare, correlation = jd.gaussian_copula(jax.random.key(1), 3, 0.25)
      >>> print(is_rare, f"{correlation:.2f}")
      [False False  True] -0.24

    References:
      A. Dimitriev, M. Zhou, ARMS: antithetic-REINFORCE-multi-sample gradient for
      binary variables, 2021.
    """
    q = _checked("gaussian_copula", num_samples, rare_probability)
    h = ndtri(q)
    logistic = sample_logistic(key, (num_samples, *q.shape)).astype(q.dtype)
    # From the tail in which the noise lies, where its probability is exact.
    normal = -jnp.sign(logistic) * ndtri(jax.nn.sigmoid(-jnp.abs(logistic)))
    centred = normal - normal.mean(axis=0, keepdims=True)
    is_rare = centred * math.sqrt(num_samples / (num_samples - 1)) < h[None]
    if num_samples == 2:
        # The integrand is not analytic at r = -1, and a pair excludes itself anyway.
        return is_rare, -q / (1.0 - q)

    angle = math.asin(-1.0 / (num_samples - 1))
    squared = jnp.square(h)
    integral = jnp.zeros_like(q)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        scale = 1.0 / (1.0 + math.sin(angle * node))
        integral += float(angle * weight) * jnp.exp(-scale * squared)
    covariance = integral / (2.0 * math.pi)
    tiny = jnp.finfo(q.dtype).tiny
    return is_rare, covariance / jnp.maximum(q * (1.0 - q), tiny)


def _checked(name: str, num_samples: int, rare_probability: ArrayLike) -> jax.Array:
    remedy = "One sample has none to repel."
    check_count(name, "num_samples", num_samples, 2, remedy)
    return in_float32(jnp.asarray(rare_probability))
