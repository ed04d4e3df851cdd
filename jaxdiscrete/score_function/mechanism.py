r"""The one mechanism of the unbiased estimators: a score with a control variate.

.. math:: g = (f(z) - b)\,\nabla\log q(z) - h, \qquad E[h] = 0

``b`` is a baseline and ``h`` lives in the space of the gradient: for MuProp, REBAR
and RELAX it is :math:`c(z)\nabla\log q(z) - \nabla E[c]` for some control variate c.
Each estimator brings its own ``h``; this module evaluates f, attaches g to the
parameters of q, and sends the gradient of :math:`|g|^2` to whatever b and h are
made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import (
    check_latents,
    check_objective,
    evaluate_optional_baseline,
)
from jaxdiscrete.core.latents import freeze, is_sampler, log_prob, score
from jaxdiscrete.core.precision import add_wide, wide
from jaxdiscrete.core.rules import (
    attach,
    linear_form,
    second_order_allowed,
    tap,
)
from jaxdiscrete.core.typing import Baseline, Estimator, Objective, PyTree, Relaxable


class Draw(NamedTuple):
    """A hard sample and the noise that a control variate is coupled to."""

    z: PyTree
    noise: PyTree = None


#: ``control(q, draw, args, parameters) -> h``, a pytree like the gradient of q.
Control = Callable[[PyTree, Draw, tuple[Any, ...], Any], PyTree]


def evaluate(
    f: Objective, z: PyTree, args: tuple[Any, ...], has_aux: bool
) -> tuple[jax.Array, Any]:
    """f at a sample, as ``(value, aux)``."""
    out = f(z, *args)
    value, aux = out if has_aux else (out, None)
    return jnp.asarray(value), aux


def scalar_part(f: Objective, has_aux: bool) -> Objective:
    """f without its auxiliary output."""
    return (lambda z, *args: f(z, *args)[0]) if has_aux else f


def as_signal(value: jax.Array) -> jax.Array:
    """The value as a weight of the score: stopped, in at least float32."""
    return wide(jax.lax.stop_gradient(value))


def attach_signal(
    value: jax.Array, q: PyTree, z: PyTree, signal: jax.Array
) -> jax.Array:
    """``value``, whose gradient to q is ``signal * grad log q(z)``.

    The rule is attached to the scalar log-probability, so a sampler whose weights
    are shared by a batch keeps one copy of their gradient.
    """
    return attach(value, [log_prob(q, freeze(z))], [signal])


def squared_norm(gradient: PyTree) -> jax.Array:
    """The sum of squares over all leaves, in at least float32."""
    squares = [jnp.sum(jnp.square(wide(g))) for g in jax.tree.leaves(gradient)]
    return add_wide(squares)


def vary_like(x: jax.Array, witness: jax.Array) -> jax.Array:
    """``x``, which under shard_map varies over the devices that ``witness`` does.

    Args:
      x: floating array.
      witness: floating array of the shape of ``x``, or a scalar.

    Returns:
      ``x`` plus a zero that depends on the witness in type only.
    """
    return x + jnp.where(jnp.isnan(witness), 0.0, 0.0).astype(x.dtype)


def freeze_like_sample(q: PyTree, witness: jax.Array) -> PyTree:
    """``q`` without gradients, which under shard_map varies like its samples.

    A score with respect to replicated parameters would be summed over the devices
    before it meets the signal of its own sample.

    Args:
      q: pytree of distributions with floating leaves.
      witness: a scalar that varies over devices like the sample.

    Returns:
      A pytree of q's structure.
    """
    return jax.tree.map(lambda x: vary_like(x, witness), freeze(q))


def add_gradients(*gradients: PyTree) -> PyTree:
    """The sum of gradients with respect to q."""
    return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *gradients)


def scale_gradient(factor: PyTree, gradient: PyTree) -> PyTree:
    """Multiplies the gradient of each distribution by its entry of ``factor``."""

    def one(part: PyTree, c: Any) -> PyTree:
        return jax.tree.map(lambda g: jnp.asarray(c).astype(g.dtype) * g, part)

    return jax.tree.map(one, gradient, factor, is_leaf=is_sampler)


def with_control_variate(
    name: str,
    f: Objective,
    *,
    draw: Callable[[jax.Array, PyTree], Draw],
    parameters: Callable[[PyTree], Any],
    baseline: Baseline | None,
    control: Control | None = None,
    live_control: Control | None = None,
    check: Callable[[PyTree, PyTree, tuple[Any, ...]], None] | None = None,
    has_aux: bool = False,
) -> Estimator:
    """Builds an estimator from its control variate.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective.
      draw: ``(key, q) -> Draw``.
      parameters: ``q -> parameters``: the arrays of the control variate (scale,
        temperature), fitted to q; they receive the gradient of ``|g|^2``.
      baseline: scalar or callable of ``args``, trained in the same way, or None.
      control: ``(q, draw, args, parameters) -> h``. Nothing that it closes over
        receives a gradient.
      live_control: a further h, whose closed-over arrays (the weights of a critic)
        are trained by ``|g|^2`` as well.
      check: ``(q, shapes of z, args)``, raises before any compute.
      has_aux: whether f returns ``(value, aux)``.

    Returns:
      ``estimate(key, q, *args)``.
    """

    def estimate(key: jax.Array, q: PyTree, *args: Any) -> Any:
        check_latents(name, q, needs=Relaxable)
        check_objective(f, key, q, args, has_aux)
        fitted = parameters(q)
        frozen_q, frozen_args = freeze(q), freeze(args)
        if check is not None:
            shapes = jax.eval_shape(lambda k: draw(k, frozen_q).z, key)
            check(frozen_q, shapes, frozen_args)
        level = evaluate_optional_baseline("baseline", baseline, args)

        drawn = freeze(draw(key, frozen_q))
        value, aux = evaluate(f, drawn.z, args, has_aux)
        signal = as_signal(value)
        frozen_q = freeze_like_sample(q, signal)
        gradient_of_log_q = score(frozen_q, drawn.z)

        def frozen_part(level: jax.Array | None, fitted: Any) -> PyTree:
            weight = signal if level is None else signal - level.astype(signal.dtype)
            g = jax.tree.map(lambda s: weight * s, gradient_of_log_q)
            if control is None:
                return g
            h = control(frozen_q, drawn, frozen_args, fitted)
            return jax.tree.map(lambda a, b: a - b, g, h)

        value = attach_and_train(
            value,
            q,
            frozen_part,
            (level, fitted),
            None
            if live_control is None
            else lambda: live_control(frozen_q, drawn, frozen_args, fitted),
            witness=signal,
        )
        return (value, aux) if has_aux else value

    return estimate


def attach_and_train(
    value: jax.Array,
    q: PyTree,
    frozen_part: Callable[..., PyTree],
    parameters: tuple[Any, ...],
    live_control: Callable[[], PyTree] | None = None,
    *,
    witness: jax.Array,
) -> jax.Array:
    """``value``, which carries a gradient to q and that of ``|g|^2`` to what made it.

    Args:
      value: scalar, live.
      q: pytree of distributions, which receive
        ``g = frozen_part(*parameters) - live_control()``.
      frozen_part: a pytree of arrays, one a leaf of q. Nothing that it closes over
        receives a gradient.
      parameters: its arguments, trained by ``|g|^2`` where they are floating arrays.
      live_control: a term whose closed-over arrays are trained as well.
      witness: a scalar that varies over devices like the sample.

    Returns:
      ``value``.
    """
    g, trained, pullback = _frozen_vjp(frozen_part, parameters, witness)
    h = None
    if live_control is not None:
        with second_order_allowed():
            h = live_control()
        g = jax.tree.map(lambda a, b: a - freeze(b), g, h)
    value = attach(value, jax.tree.leaves(q), jax.tree.leaves(g))
    # |g|^2 enters as the linear form 2 g . dg, which has the same gradient.
    twice = jax.tree.map(lambda x: 2.0 * x, g)
    objective = linear_form(trained, pullback(twice))
    if h is not None:
        live = linear_form(jax.tree.leaves(h), jax.tree.leaves(twice))
        objective = add_wide([objective, -live])
    return tap(value, objective)


def _frozen_vjp(
    fn: Callable[..., PyTree], parameters: Any, witness: jax.Array
) -> tuple[PyTree, list[jax.Array], Callable[[PyTree], list[jax.Array]]]:
    """``fn(*parameters)``, its arrays, and the pullback to them, all stopped.

    Whatever fn closes over, parameters of the model included, sees nothing of the
    pullback. Python numbers among the parameters are constants and cost no
    derivative, and so are arrays of integers.
    """
    leaves, treedef = jax.tree.flatten(parameters)
    is_trained = [
        isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)
        for x in leaves
    ]
    trained = [x for x, yes in zip(leaves, is_trained, strict=True) if yes]

    def of_trained(values: list[jax.Array]) -> PyTree:
        rest = iter(values)
        merged = [
            next(rest) if yes else x for x, yes in zip(leaves, is_trained, strict=True)
        ]
        return fn(*jax.tree.unflatten(treedef, merged))

    # A replicated parameter must first vary like the sample, or its derivative would
    # be summed over devices too early.
    varying = [vary_like(freeze(x), witness) for x in trained]
    with second_order_allowed():
        if not trained:
            return freeze(of_trained([])), [], lambda ct: []
        out, pull = jax.vjp(of_trained, varying)

    def pullback(ct: PyTree) -> list[jax.Array]:
        with second_order_allowed():
            return freeze(pull(ct)[0])

    return freeze(out), trained, pullback
