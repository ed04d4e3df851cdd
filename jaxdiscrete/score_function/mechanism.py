r"""The mechanism of the unbiased estimators with one sample.

.. math:: g = (f(z) - b)\,\nabla\log q(z) - h, \qquad E[h] = 0

``b`` is a baseline and ``h`` lives in the space of the gradient: for MuProp, REBAR
and RELAX it is :math:`c(z)\nabla\log q(z) - \nabla E[c]` for some control variate c.
Each estimator brings its own ``h``; this module evaluates f, attaches g to the
parameters of q, and sends the gradient of :math:`|g|^2` to whatever b and h are
made of.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.core.baselines import Baseline, evaluate_baseline
from jaxdiscrete.core.checking import is_checking
from jaxdiscrete.core.checks import check_differentiable, check_real_scalar
from jaxdiscrete.core.estimator import estimator, with_path_to
from jaxdiscrete.core.latents import freeze, is_sampler
from jaxdiscrete.core.needs import RELAXABLE, Needs
from jaxdiscrete.core.objective import ObjectiveWithAux, as_signal, value_of
from jaxdiscrete.core.precision import sum_in_float32
from jaxdiscrete.core.rules import (
    attach_gradient,
    attach_objective,
    linear_form,
    second_order_allowed,
)
from jaxdiscrete.core.scores import score
from jaxdiscrete.core.typing import Estimator, Objective, PyTree
from jaxdiscrete.core.varying import freeze_varying, match_varying


class Draw(NamedTuple):
    """A hard sample and what a control variate makes use of.

    Attributes:
      z: the sample.
      noise: what a control variate is coupled to.
      score: the gradient of its log-probability, which the mechanism adds.
    """

    z: PyTree
    noise: PyTree = None
    score: PyTree = None


#: ``control(f, q, drawn, args, parameters) -> h``, a pytree like the gradient of q, for
#: the scalar objective f and frozen q and args.
Control = Callable[[Objective, PyTree, Draw, tuple[Any, ...], Any], PyTree]


def with_control_variate(
    name: str,
    f: Objective,
    *,
    draw: Callable[[jax.Array, PyTree], Draw],
    parameters: Callable[[PyTree], Any],
    baseline: Baseline | None,
    control: Control | None = None,
    live_control: Control | None = None,
    needs: Needs = RELAXABLE,
    has_aux: bool = False,
    differentiates: bool = False,
    check: Callable[[PyTree, PyTree, tuple[Any, ...]], None] | None = None,
) -> Estimator:
    """Builds an estimator from its control variate.

    Args:
      name: public name of the estimator, for error messages.
      f: the objective.
      draw: ``(key, q) -> Draw``.
      parameters: ``q -> parameters``: the arrays of the control variate (scale,
        temperature), fitted to q; they receive the gradient of ``|g|^2``.
      baseline: as every ``baseline=``, or None.
      control: h. Nothing that it closes over receives a gradient.
      live_control: a further h, whose closed-over arrays (the weights of a critic)
        are trained by ``|g|^2`` as well.
      needs: what it needs of the distributions in q.
      has_aux: whether f returns ``(value, aux)``.
      differentiates: whether f must be differentiable in z.
      check: ``(q, shapes of z, args)``, raises before any compute.

    Returns:
      ``estimate(key, q, *args)``.
    """

    def body(
        objective: ObjectiveWithAux, key: jax.Array, q: PyTree, args: tuple[Any, ...]
    ) -> tuple[jax.Array, Any]:
        fitted = parameters(q)
        b = evaluate_baseline(baseline, args)
        drawn = freeze(draw(key, freeze(q)))
        value, aux = objective(drawn.z, *args)
        if is_checking():
            return with_path_to(value, q), aux
        signal = as_signal(value)
        frozen_q, frozen_args = freeze_varying(q, signal), freeze(args)
        drawn = drawn._replace(score=score(frozen_q, drawn.z))
        scalar = value_of(objective)

        def frozen_part(by_variance: jax.Array | None, fitted: Any) -> PyTree:
            weight = b._replace(by_variance=by_variance).subtract_from(signal)
            g = jax.tree.map(lambda s: weight * s, drawn.score)
            if control is None:
                return g
            h = control(scalar, frozen_q, drawn, frozen_args, fitted)
            return jax.tree.map(lambda a, b: a - b, g, h)

        live = None
        if live_control is not None:
            live = functools.partial(
                live_control, scalar, frozen_q, drawn, frozen_args, fitted
            )
        value = attach_and_train(
            value, q, frozen_part, (b.by_variance, fitted), live, like=signal
        )
        return b.fit(value, signal), aux

    return estimator(
        name,
        f,
        body,
        needs=needs,
        has_aux=has_aux,
        at=lambda key, q: draw(key, q).z,
        differentiates=differentiates,
        check=check,
    )


def attach_and_train(
    value: jax.Array,
    q: PyTree,
    frozen_part: Callable[..., PyTree],
    parameters: tuple[Any, ...],
    live_control: Callable[[], PyTree] | None = None,
    *,
    like: jax.Array,
) -> jax.Array:
    """``value``, which carries a gradient to q and that of ``|g|^2`` to what made it.

    Args:
      value: scalar, live.
      q: pytree of distributions, which receive
        ``g = frozen_part(*parameters) - live_control()``.
      frozen_part: a pytree of arrays, one per leaf of q. Nothing that it closes over
        receives a gradient.
      parameters: its arguments, trained by ``|g|^2``.
      live_control: a term whose closed-over arrays are trained as well.
      like: a scalar that varies over devices like the sample.

    Returns:
      ``value``.
    """
    g, objective = _second_moment(frozen_part, parameters, live_control, like=like)
    value = attach_gradient(value, jax.tree.leaves(q), jax.tree.leaves(g))
    return attach_objective(value, objective)


def train_by_second_moment(
    value: jax.Array,
    frozen_part: Callable[..., PyTree],
    parameters: tuple[Any, ...],
    *,
    like: jax.Array,
) -> jax.Array:
    """Trains as :func:`attach_and_train`; the gradient to q is attached otherwise."""
    _, objective = _second_moment(frozen_part, parameters, None, like=like)
    return attach_objective(value, objective)


def _second_moment(
    frozen_part: Callable[..., PyTree],
    parameters: tuple[Any, ...],
    live_control: Callable[[], PyTree] | None,
    *,
    like: jax.Array,
) -> tuple[PyTree, jax.Array]:
    """The gradient to q, and a scalar with the gradient of its squared norm."""
    g, trained, pullback = _frozen_vjp(frozen_part, parameters, like)
    h = None
    if live_control is not None:
        with second_order_allowed():
            h = live_control()
        g = jax.tree.map(lambda a, b: a - freeze(b), g, h)
    # |g|^2 enters as the linear form 2 g . dg, which has the same gradient.
    two_g = jax.tree.map(lambda x: 2.0 * x, g)
    objective = linear_form(trained, pullback(two_g))
    if h is not None:
        live = linear_form(jax.tree.leaves(h), jax.tree.leaves(two_g))
        objective = sum_in_float32([objective, -live])
    return g, objective


def _frozen_vjp(
    fn: Callable[..., PyTree], parameters: Any, like: jax.Array
) -> tuple[PyTree, list[jax.Array], Callable[[PyTree], list[jax.Array]]]:
    """``fn(*parameters)``, its arrays, and the pullback to them, all stopped.

    Whatever fn closes over, parameters of the model included, sees nothing of the
    pullback. Integers among the parameters are constants.
    """
    leaves, treedef = jax.tree.flatten(jax.tree.map(jnp.asarray, parameters))
    is_trained = [jnp.issubdtype(x.dtype, jnp.floating) for x in leaves]
    trained = [x for x, yes in zip(leaves, is_trained, strict=True) if yes]

    def of_trained(values: list[jax.Array]) -> PyTree:
        rest = iter(values)
        merged = [
            next(rest) if yes else x for x, yes in zip(leaves, is_trained, strict=True)
        ]
        return fn(*jax.tree.unflatten(treedef, merged))

    # A replicated parameter must first vary like the sample, or its derivative would
    # be summed over devices too early.
    varying = [match_varying(freeze(x), like) for x in trained]
    with second_order_allowed():
        if not trained:
            return freeze(of_trained([])), [], lambda ct: []
        out, pull = jax.vjp(of_trained, varying)

    def pullback(ct: PyTree) -> list[jax.Array]:
        with second_order_allowed():
            return freeze(pull(ct)[0])

    return freeze(out), trained, pullback


def add_gradients(*gradients: PyTree) -> PyTree:
    """The sum of gradients with respect to q."""
    return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *gradients)


def scale_gradient(factor: PyTree, gradient: PyTree) -> PyTree:
    """Multiplies the gradient of each distribution by its entry of ``factor``."""

    def one(part: PyTree, c: Any) -> PyTree:
        return jax.tree.map(lambda g: jnp.asarray(c).astype(g.dtype) * g, part)

    return jax.tree.map(one, gradient, factor, is_leaf=is_sampler)


def control_of(
    value: jax.Array, score_of_z: PyTree, gradient_of_mean: PyTree
) -> PyTree:
    """The control ``value * score - gradient of the mean``, in the space of q."""
    return jax.tree.map(
        lambda s, m: value.astype(s.dtype) * s - m, score_of_z, gradient_of_mean
    )


def check_relaxed_f(
    name: str, relaxed_f: Objective | None
) -> Callable[[PyTree, PyTree, tuple[Any, ...]], None]:
    """The check of what a control variate evaluates in place of f."""

    def check(q: PyTree, z: PyTree, args: tuple[Any, ...]) -> None:
        del q
        if relaxed_f is None:
            return

        def one_scalar(z: PyTree, *args: Any) -> Any:
            out = relaxed_f(z, *args)
            check_real_scalar("relaxed_f", out)
            return out

        check_differentiable(name, "relaxed_f", one_scalar, z, args)

    return check
