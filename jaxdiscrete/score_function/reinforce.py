"""REINFORCE: the score function with no baseline, a constant, or one of the input."""

from __future__ import annotations

from typing import Any

import jax

from jaxdiscrete.core.checks import (
    check_latents,
    check_objective,
    check_trainable_by_variance,
    evaluate_optional_baseline,
)
from jaxdiscrete.core.latents import draw, freeze, score
from jaxdiscrete.core.rules import tap
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree
from jaxdiscrete.score_function.mechanism import (
    as_signal,
    attach_signal,
    evaluate,
    freeze_like_sample,
    squared_norm,
)


def reinforce(
    f: Objective, *, baseline: Baseline | None = None, has_aux: bool = False
) -> Estimator:
    r"""Score-function estimator, with a baseline trained by the variance.

    For :math:`z\sim q_\phi` the gradient estimate of :math:`E_{q_\phi}[f(z)]` is
    :math:`(f(z) - b)\,\nabla_\phi\log q_\phi(z)`. Unbiased. One call of ``f``, which
    need not be differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      baseline: scalar array, or ``baseline(*args) -> scalar``. ``jax.grad`` with
        respect to it, or to what it closes over, is the gradient of the
        estimator's second moment :math:`(f - b)^2|\nabla\log q|^2`. Its inputs are
        stopped. A Python number is a constant. Default: none.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f or the baseline does not return one
        real scalar, if q holds no distributions, or if an array or callable is to
        be trained as baseline of a sampler that gives only ``log_prob``.

    Example:
      >>> q = jd.Bernoulli(jnp.array([0.5, -0.5]))
      >>> estimate = jd.reinforce(lambda z: jnp.sum(z), baseline=1.0)
      >>> grads = jax.vmap(jax.grad(estimate, argnums=1), (0, None))(
      ...     jax.random.split(jax.random.key(0), 10_000), q)
      >>> print(np.asarray(grads.logits.mean(0)).round(2))  # exact: .235 each
      [0.23 0.24]

    References:
      R. J. Williams, Simple statistical gradient-following algorithms, 1992.
    """
    # A number has nothing to train, so it works for every sampler.
    is_trained = callable(baseline) or isinstance(baseline, jax.Array)

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_latents("reinforce", q)
        if is_trained:
            check_trainable_by_variance("reinforce", q)
        check_objective(f, key, q, args, has_aux)
        level = evaluate_optional_baseline("baseline", baseline, args)

        z = draw(key, q)
        value, aux = evaluate(f, z, args, has_aux)
        signal = as_signal(value)
        if level is not None:
            signal = signal - freeze(level).astype(signal.dtype)
        value = attach_signal(value, q, z, signal)
        if is_trained and level is not None:
            slope = (
                -2.0 * signal * squared_norm(score(freeze_like_sample(q, signal), z))
            )
            value = tap(value, level.astype(slope.dtype) * freeze(slope))
        return (value, aux) if has_aux else value

    return estimate
