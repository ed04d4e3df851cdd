"""REINFORCE: the score function with no baseline, a constant, or one of the input."""

from __future__ import annotations

from typing import Any

import jax

from jaxdiscrete.core.baselines import Baseline, evaluate_baseline
from jaxdiscrete.core.estimator import estimator
from jaxdiscrete.core.facts import facts
from jaxdiscrete.core.latents import draw, freeze, has_parameters, latents
from jaxdiscrete.core.objective import (
    ObjectiveWithAux,
    as_signal,
    attach_signal,
    squared_norm,
)
from jaxdiscrete.core.rules import attach_objective, refuse_gradient
from jaxdiscrete.core.scores import score
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.core.varying import freeze_varying


@facts(reference="Williams 1992")
def reinforce(
    f: Objective, *, baseline: Baseline | None = None, has_aux: bool = False
) -> Estimator:
    r"""Score-function estimator, with a baseline trained by the variance.

    For :math:`z\sim q_\phi` the gradient estimate of :math:`E_{q_\phi}[f(z)]` is
    :math:`(f(z) - b)\,\nabla_\phi\log q_\phi(z)`. Unbiased. One call of ``f``, which
    need not be differentiable in z.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      baseline: scalar, or ``baseline(*args) -> scalar`` with its inputs stopped.
        ``jax.grad`` with respect to it, or to what it closes over, is the gradient of
        the estimator's second moment :math:`(f - b)^2|\nabla\log q|^2`; wrapped in
        :func:`least_squares`, that of a squared error. Default: none. What it
        shares with the model must be stopped, which
        :func:`jaxdiscrete.testing.assert_control_variates_are_separate` checks.
      has_aux: whether f returns ``(scalar, aux)``; the estimate then does too. What
        leaves through aux gets no credit for what happens to it later: see
        :func:`jaxdiscrete.sequential`.

    Returns:
      ``estimate(key, q, *args) -> scalar``, the value f(z). Reverse mode, first
      order. Batch with :func:`jax.vmap`.

    Raises:
      TypeError, ValueError: when called, if f or the baseline does not return one
        real scalar, if q holds no distributions, or if a baseline of a sampler that
        gives only ``log_prob`` is to be trained by the variance.

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

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        b = evaluate_baseline(baseline, args)
        z = draw(key, q)
        value, aux = objective(z, *args)
        target = as_signal(value)
        signal = freeze(b.subtract_from(target))
        value = attach_signal(value, q, z, signal)
        if b.by_variance is not None:
            value = _train(value, q, z, signal, b.by_variance)
        return b.fit(value, target), aux

    return estimator("reinforce", f, body, has_aux=has_aux)


def _train(
    value: jax.Array, q: PyTree, z: PyTree, signal: jax.Array, baseline: jax.Array
) -> jax.Array:
    """``value``, which carries the gradient of the second moment to the baseline."""
    for d in latents(q):
        if not has_parameters(d):
            message = (
                "Expected distributions with parameters that jaxdiscrete.reinforce can "
                f"see, to train its baseline by the variance, got {type(d).__name__}, "
                "which gives only log_prob. Fit it by squared error: "
                "baseline=jaxdiscrete.least_squares(b)."
            )
            return attach_objective(value, refuse_gradient(baseline, message))
    square = squared_norm(score(freeze_varying(q, signal), z))
    slope = freeze(-2.0 * signal * square)
    return attach_objective(value, baseline.astype(slope.dtype) * slope)
