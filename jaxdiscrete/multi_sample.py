"""Several samples of one q, each with a baseline made of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.gradient_rules import attach
from jaxdiscrete.latents import draw, freeze, log_prob
from jaxdiscrete.score_function import as_signal, evaluate
from jaxdiscrete.typing import Estimator, Objective, PyTree
from jaxdiscrete.validation import (
    check_count,
    check_latents,
    check_objective,
)


def _attach_mean(
    values: jax.Array, q: PyTree, z: PyTree, signals: jax.Array
) -> jax.Array:
    """The mean value, whose gradient to q is the mean of signal times score."""
    log_probs = jax.vmap(lambda sample: log_prob(q, sample))(z)
    return attach(values.mean(), [log_probs], [signals / values.size])


def multi_sample(
    name: str,
    f: Objective,
    num_samples: int,
    has_aux: bool,
    baselines: Callable[[jax.Array, PyTree, PyTree], jax.Array],
    check: Callable[[PyTree], None],
) -> Estimator:
    """Builds an estimator of several samples from the baseline of each.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective.
      num_samples: at least 2. Static.
      has_aux: whether f returns ``(value, aux)``.
      baselines: ``(values, q, samples) -> baselines``, one a sample, that must not
        depend on that sample itself. Everything comes stopped.
      check: ``q -> None``, raises before any compute.

    Returns:
      ``estimate(key, q, *args)``.
    """
    remedy = "With one sample use jaxdiscrete.reinforce or jaxdiscrete.nvil."
    check_count(name, "num_samples", num_samples, 2, remedy)

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_latents(name, q)
        check(q)
        check_objective(f, key, q, args, has_aux)
        keys = jax.random.split(key, num_samples)
        z = jax.vmap(lambda k: draw(k, q))(keys)
        values, aux = jax.vmap(lambda sample: evaluate(f, sample, args, has_aux))(z)
        signals = as_signal(values)
        signals = signals - baselines(signals, freeze(q), z)
        value = _attach_mean(values, q, z, signals)
        return (value, aux) if has_aux else value

    return estimate


def sum_of_others(x: jax.Array) -> jax.Array:
    """For every sample, the sum over the other ones.

    From sums before and after it rather than by subtraction from the total, so that
    what remains is exactly independent of it, however large it is.
    """
    return _sum_before(x) + _sum_before(x[::-1])[::-1]


def _sum_before(x: jax.Array) -> jax.Array:
    return jnp.cumsum(jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]]))


def reinforce_loo(
    f: Objective, *, num_samples: int, has_aux: bool = False
) -> Estimator:
    r"""Score-function estimator with a leave-one-out baseline.

    For :math:`z_{1:K}\sim q_\phi` the gradient estimate of :math:`E_{q_\phi}[f(z)]`
    is :math:`\frac{1}{K-1}\sum_k (f(z_k)-\bar f)\,\nabla_\phi\log q_\phi(z_k)`.
    Unbiased: the baseline of each sample is the mean of the others, never of all.
    ``K`` calls of ``f``, which need not be differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      num_samples: ``K >= 2``. Static.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then returns aux
        with a leading axis of K.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the mean of f. Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      ValueError: if ``num_samples < 2``; when called, if f does not return one real
        scalar.
      TypeError: when called, if q holds no distributions.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(3))
      >>> estimate = jd.reinforce_loo(lambda z: 100.0 + z.sum(), num_samples=50)
      >>> print(np.asarray(jax.grad(estimate, 1)(jax.random.key(0), q).logits).round(1))
      [0.3 0.2 0.3]

    References:
      T. Salimans, D. Knowles, On using control variates with stochastic
      approximation for variational Bayes, 2014.
      W. Kool, H. van Hoof, M. Welling, Buy 4 REINFORCE samples, get a baseline for
      free!, 2019.
    """

    def baselines(signals: jax.Array, q: PyTree, z: PyTree) -> jax.Array:
        del q, z
        return sum_of_others(signals) / (num_samples - 1)

    return multi_sample(
        "reinforce_loo", f, num_samples, has_aux, baselines, lambda q: None
    )
