"""The gradient rules on which every estimator stands.

All but the last are identities on the value of an objective. The objective itself
never enters ``jax.custom_vjp``: it runs in plain JAX, so closures over traced arrays,
``vmap``, ``scan``, ``remat`` and callbacks work as they do everywhere else.

* :func:`attach_gradient` carries an estimated gradient to distribution parameters.
* :func:`attach_objective` carries the objective of a baseline or critic to its
  parameters.
* :func:`refuse_gradient` makes a derivative that would silently be zero an error.
* :func:`softplus` has a derivative that does not need its value.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.precision import at_least_float32, sum_in_float32
from jaxdiscrete.core.typing import PyTree

# A context of JAX and not of Python, because JAX caches derivatives of jitted functions
# and only its own contexts are part of the key.
_inside_library_objective = jax.make_user_context(False)
_value_is_live = jax.make_user_context(False)
_control_variates_are_held = jax.make_user_context(False)


@contextlib.contextmanager
def second_order_allowed() -> Iterator[None]:
    """Lets the library differentiate a nested estimator's gradient.

    The variance objective of an outer estimator contains the gradient of f, and f
    may contain an estimator. Its gradient estimate is then held constant, which
    costs efficiency of the control variate and never bias; for a user's Hessian the
    same treatment would be silently wrong, so it is refused there.
    """
    with _inside_library_objective(True), _value_is_live(False):
        yield


@contextlib.contextmanager
def value_stays_live() -> Iterator[None]:
    """Lets the library take a value and its derivative in z in one evaluation.

    As :func:`second_order_allowed`, where the value goes on to be differentiated in
    whatever else f depends on. The derivative in z uses up the rules of an estimator
    inside f, so they are attached to the value once more.
    """
    with second_order_allowed(), _value_is_live(True):
        yield


@contextlib.contextmanager
def control_variates_are_held() -> Iterator[None]:
    """Lets nothing be trained by the objective of a control variate."""
    with _control_variates_are_held(True):
        yield


@jax.custom_jvp
def _refuse_derivative(x: PyTree, witness: PyTree) -> PyTree:
    del witness
    return x


@_refuse_derivative.defjvp
def _refuse_derivative_jvp(primals: Any, tangents: Any) -> Any:
    del primals, tangents
    raise TypeError(
        "Expected a first derivative of a jaxdiscrete estimate, got a second one. "
        "The gradient of an estimate is itself a sample whose derivative is not the "
        "Hessian of the expectation. Differentiate jaxdiscrete.exact, or estimate "
        "the Hessian from an objective whose gradient you write out. To use the "
        "gradient as a constant, give jax.grad a q that is stopped already: what is "
        "stopped afterwards comes too late."
    )


def _first_order_only(cotangent: PyTree, witness: PyTree) -> PyTree:
    # The witness must be an input that moves with the parameters: the cotangent is
    # constant in them, so a guard on the cotangent alone would never fire and
    # Hessians would silently be zero.
    if _inside_library_objective.value:
        return cotangent
    return _refuse_derivative(cotangent, witness)


def _depending_on(value: jax.Array, others: list[jax.Array]) -> jax.Array:
    """``value``, which is batched, and varies over devices, as any of the others is.

    The result of a rule that is not gets one cotangent for a whole batch under vmap:
    the sum of those of its examples, which every example would take for its own.
    """
    for other in others:
        if other.size:
            one = other if other.ndim == 0 else jnp.max(other)
            value = jax.lax.select(True, value, one.astype(value.dtype))
    return value


def _zero_like(value: jax.Array) -> jax.Array:
    """A constant zero that varies over devices as ``value`` does."""
    zero = jnp.where(jnp.isnan(value), 0.0, 0.0).astype(value.dtype)
    return jax.lax.stop_gradient(zero)


def linear_form(params: list[jax.Array], coefficients: list[jax.Array]) -> jax.Array:
    """The sum of ``params * coefficients``.

    Args:
      params: floating arrays.
      coefficients: one array per entry of ``params``, of the same shape.

    Returns:
      A scalar in at least float32.
    """
    dtype = at_least_float32(*(c.dtype for c in coefficients))
    products = [
        jnp.sum(p.astype(dtype) * c.astype(dtype))
        for p, c in zip(params, coefficients, strict=True)
    ]
    return sum_in_float32(products)


def attach_gradient(
    value: jax.Array, params: list[jax.Array], grads: list[jax.Array]
) -> jax.Array:
    """Returns ``value``; under differentiation ``params`` receive ``ct * grads``.

    Args:
      value: real scalar, the value of the estimate. Its own cotangent passes.
      params: floating arrays of any shape, or Python numbers.
      grads: one array per entry of ``params``, of the same shape: the estimated
        gradient. Receives no gradient itself.

    Returns:
      ``value``.
    """
    return _attach_gradient(value, [jnp.asarray(p) for p in params], grads)


@jax.custom_vjp
def _attach_gradient(
    value: jax.Array, params: list[jax.Array], grads: list[jax.Array]
) -> jax.Array:
    return _depending_on(value, [*params, *grads])


def _attach_gradient_fwd(value: Any, params: Any, grads: Any) -> tuple[jax.Array, Any]:
    # d/d theta of the gradient estimate for phi is lost too (grads are constants),
    # and only the value knows theta. It is a witness where phi is differentiated;
    # where it is not, a Hessian in theta alone is exact and must pass.
    is_differentiated = any(p.perturbed for p in params)
    params, grads = [p.value for p in params], [g.value for g in grads]
    witness = value.value if is_differentiated else jax.lax.stop_gradient(value.value)
    out = _depending_on(value.value, [*params, *grads])
    if _value_is_live.value:
        out = out + attach_gradient(_zero_like(out), params, grads)
    return out, (params, grads, witness)


def _attach_gradient_bwd(residuals: Any, ct: jax.Array) -> tuple[Any, ...]:
    params, grads, witness = residuals
    # The transpose of the linear form, and not a product, because it restores the
    # dtype of each parameter and, under shard_map, its replication.
    transpose = jax.linear_transpose(lambda p: linear_form(p, grads), params)
    dtype = at_least_float32(*(g.dtype for g in grads))
    (params_ct,) = transpose(ct.astype(dtype))
    params_ct = _first_order_only(params_ct, (params, witness))
    return ct, params_ct, [jnp.zeros_like(g) for g in grads]


_attach_gradient.defvjp(_attach_gradient_fwd, _attach_gradient_bwd, symbolic_zeros=True)


def attach_objective(value: jax.Array, objective: jax.Array) -> jax.Array:
    """Returns ``value``; under differentiation ``objective`` receives ``|ct|``.

    The absolute value keeps the objective minimised when the loss is negated to
    maximise it.

    Args:
      value: real scalar, the value of the estimate. Its own cotangent passes.
      objective: real scalar, what the parameters of a control variate minimise.

    Returns:
      ``value``.
    """
    if _control_variates_are_held.value:
        return value
    return _attach_objective(value, objective)


@jax.custom_vjp
def _attach_objective(value: jax.Array, objective: jax.Array) -> jax.Array:
    return _depending_on(value, [objective])


def _attach_objective_fwd(value: Any, objective: Any) -> tuple[jax.Array, Any]:
    # The objective is linear in what it trains, with constants that know nothing of q
    # or of f: the value moves with them, and is a witness as above.
    is_differentiated = objective.perturbed
    value, objective = value.value, objective.value
    witness = value if is_differentiated else jax.lax.stop_gradient(value)
    out = _depending_on(value, [objective])
    if _value_is_live.value:
        out = out + _attach_objective(_zero_like(out), objective)
    return out, (objective, witness)


def _attach_objective_bwd(residuals: Any, ct: jax.Array) -> tuple[jax.Array, jax.Array]:
    objective, _ = residuals
    return ct, _first_order_only(jnp.abs(ct).astype(objective.dtype), residuals)


_attach_objective.defvjp(
    _attach_objective_fwd, _attach_objective_bwd, symbolic_zeros=True
)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def refuse_gradient(value: jax.Array, message: str) -> jax.Array:
    """Returns ``value``; whoever differentiates it gets a TypeError.

    Args:
      value: an array that the estimate uses and does not train.
      message: what the error says.

    Returns:
      ``value``.
    """
    del message
    return value


@refuse_gradient.defjvp
def _refuse_gradient_jvp(message: str, primals: Any, tangents: Any) -> Any:
    del primals, tangents
    raise TypeError(message)


def on_the_value(mark: Callable[[jax.Array], jax.Array]) -> Callable[..., jax.Array]:
    """An identity that is called on a value, and not on its derivative.

    Args:
      mark: what a reader of the program looks for; returns its argument.

    Returns:
      The same, past which the derivative goes unmarked.
    """
    call = jax.custom_jvp(mark)
    call.defjvp(lambda primals, tangents: (call(*primals), *tangents))
    return call


def with_slopes(
    fn: Callable[..., jax.Array], slopes: Callable[..., tuple[jax.Array, ...]]
) -> Callable[..., jax.Array]:
    """A function of arrays whose derivative is written out.

    What JAX stores for the derivative of a sum over a large table is the table; written
    out, it can be a sum of its own.

    Args:
      fn: ``fn(*xs) -> [...]``, one entry for each along the leading axes of ``xs``.
      slopes: ``slopes(*xs)``, the derivatives with respect to each of the xs, of its
        shape. Differentiable where higher derivatives are asked for.

    Returns:
      The same function.
    """
    call = jax.custom_jvp(fn)

    @call.defjvp
    def jvp(primals: Any, tangents: Any) -> Any:
        value = call(*primals)
        moved = [
            (s * t).reshape(*value.shape, -1).sum(axis=-1)
            for s, t in zip(slopes(*primals), tangents, strict=True)
        ]
        return value, sum(moved[1:], moved[0])

    return call


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """``log(1 + exp(x))``, whose derivative is ``sigmoid(x)`` and nothing else.

    JAX computes the derivative of its own from the value, and so a value that nobody
    asks for: of a score function only the derivative is used.

    Args:
      x: a floating array.

    Returns:
      An array of the same shape and dtype.
    """
    return jnp.maximum(x, 0.0) + jax.lax.log1p(jax.lax.exp(-jnp.abs(x)))


@softplus.defjvp
def _softplus_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (moved,) = primals, tangents
    return softplus(x), jax.nn.sigmoid(x) * moved
