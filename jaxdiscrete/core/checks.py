"""Checks that run before any compute: expected, got, and what to do instead."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxdiscrete.core.latents import (
    draw,
    freeze,
    is_array,
    is_single_leaf,
    latents,
)
from jaxdiscrete.core.precision import wide
from jaxdiscrete.core.rules import second_order_allowed
from jaxdiscrete.core.typing import PyTree, Relaxable, Reparametrisable, Sampler

#: How the libraries of distributions call the key.
_KEY_NAMES = ("key", "seed", "rng_key", "rng")
_RELAXABLE_REMEDY = (
    "Use jaxdiscrete.reinforce_loo, jaxdiscrete.nvil or jaxdiscrete.reinforce, which "
    "need sample and log_prob only, or implement jaxdiscrete.Relaxable."
)
_DIFFERENTIABLE_REMEDY = (
    "Write f without rounding, comparisons, integer casts or stop_gradient on z, or "
    "use jaxdiscrete.reinforce_loo or jaxdiscrete.nvil, which never differentiate f."
)


def key_keyword(sample: Callable[..., Any]) -> str | None:
    """The name by which ``sample`` takes a key, or None if it has none of those."""
    try:
        parameters = inspect.signature(sample).parameters
    except (TypeError, ValueError):  # no signature, as for some compiled functions
        return None
    return next((name for name in _KEY_NAMES if name in parameters), None)


def takes_key_first(sample: Callable[..., Any]) -> bool:
    """Whether ``sample(key)`` is how a sample is drawn, as far as one can see."""
    try:
        parameters = inspect.signature(sample).parameters.values()
    except (TypeError, ValueError):
        return True
    by_position = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    first = next((p.name for p in parameters if p.kind in by_position), None)
    if first is None:
        return False
    return first in _KEY_NAMES or key_keyword(sample) is None


def check_latents(name: str, q: PyTree, *, needs: type = Sampler) -> None:
    """Raises unless every leaf of ``q`` is a distribution that ``name`` can use.

    Args:
      name: the estimator, for the message.
      q: pytree of distributions.
      needs: the protocol whose operations the estimator uses.
    """
    leaves = latents(q)
    if not leaves:
        raise TypeError(
            f"Expected q of jaxdiscrete.{name} to hold at least one distribution, got "
            f"an empty pytree {q!r}."
        )
    for d in leaves:
        if isinstance(d, Sampler) and not takes_key_first(d.sample):
            raise TypeError(
                f"Expected every distribution in q of jaxdiscrete.{name} to sample by "
                f"sample(key), got {type(d).__name__}, whose sample does not take a "
                "key first. Wrap it with jaxdiscrete.as_sampler."
            )
        if not isinstance(d, Sampler):
            raise TypeError(
                f"Expected every leaf of q of jaxdiscrete.{name} to be a distribution "
                f"with sample(key) and log_prob(z), got {type(d).__name__}. Wrap "
                "logits as jaxdiscrete.Bernoulli(logits) or "
                "jaxdiscrete.OneHotCategorical(logits)."
            )
        validate = getattr(d, "validate", None)
        if validate is not None:
            validate()
        if not isinstance(d, needs):
            has = "no relaxation"
            if isinstance(d, Reparametrisable):
                has = "a relaxation but no mean and no conditional relaxed sample"
            raise TypeError(
                f"Expected distributions that can be relaxed in jaxdiscrete.{name}, "
                f"got {type(d).__name__}, which has {has}. {_RELAXABLE_REMEDY}"
            )


def check_kind(
    name: str, q: PyTree, kind: type | tuple[type, ...], *, variables: str
) -> None:
    """Raises unless every distribution of ``q`` is one of ``kind``.

    Args:
      name: the estimator, for the message.
      q: pytree of distributions.
      kind: the class, or several.
      variables: what its variables are, for the message: "binary", "categorical".
    """
    check_latents(name, q)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    expected = " or ".join(f"jaxdiscrete.{k.__name__}" for k in kinds)
    for d in latents(q):
        if not isinstance(d, kinds):
            raise TypeError(
                f"Expected {expected} distributions in "
                f"jaxdiscrete.{name}, which is an estimator for {variables} variables, "
                f"got {type(d).__name__}. jaxdiscrete.reinforce_loo takes any "
                "distribution."
            )


def check_trainable_by_variance(name: str, q: PyTree) -> None:
    """Raises where the estimator's second moment is not available."""
    for d in latents(q):
        if not isinstance(d, Relaxable):
            raise TypeError(
                f"Expected distributions with parameters that jaxdiscrete.{name} can "
                f"see, to train its baseline by the variance, got "
                f"{type(d).__name__}, which gives only log_prob. Use jaxdiscrete.nvil, "
                "whose baseline is fitted by squared error."
            )


def check_scalar(
    what: str, fn: Callable[..., Any], x: PyTree, args: Sequence[Any]
) -> None:
    """Raises unless ``fn(x, *args)`` is one real floating scalar, without computing.

    Args:
      what: what the user calls the function.
      fn: the function.
      x: its first argument, or the shapes and dtypes of it.
      args: its other arguments.
    """
    _check_scalar_shape(what, jax.eval_shape(lambda y: fn(y, *args), x))


def _check_scalar_shape(what: str, out: Any) -> None:
    leaves = jax.tree.leaves(out)
    if not is_single_leaf(out):
        raise TypeError(
            f"Expected {what} to return one real scalar, got {_describe(out)}. Return "
            "an array of shape (), or pass has_aux=True for (scalar, aux)."
        )
    if leaves[0].shape != ():
        raise ValueError(
            f"Expected {what} to return one real scalar, got shape {leaves[0].shape}. "
            "Sum or average inside it; batch the estimate with jax.vmap."
        )
    if not jnp.issubdtype(leaves[0].dtype, jnp.floating):
        raise TypeError(
            f"Expected {what} to return one real scalar of a floating dtype, got "
            f"{leaves[0].dtype}. Convert it, for instance with "
            ".astype(jnp.float32)."
        )


def _describe(out: Any) -> str:
    return str(jax.tree.map(lambda x: (x.shape, str(x.dtype)), out))


def check_objective(
    f: Callable[..., Any], key: jax.Array, q: PyTree, args: Sequence[Any], has_aux: bool
) -> None:
    """Raises unless f at a hard sample returns one real scalar."""
    check_objective_at(f, lambda k: draw(k, q), key, args, has_aux)


def check_objective_at(
    f: Callable[..., Any],
    sample: Callable[[Any], PyTree],
    x: Any,
    args: Sequence[Any],
    has_aux: bool,
) -> None:
    """Raises unless f at ``sample(x)`` returns one real scalar, without computing.

    Args:
      f: the objective.
      sample: from ``x`` to what f takes.
      x: pytree of arrays, or of their shapes and dtypes.
      args: the other arguments of ``f``.
      has_aux: whether f returns ``(scalar, aux)``.
    """

    def value(y: Any) -> Any:
        out = f(sample(y), *args)
        if not has_aux:
            return out
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(
                "Expected f to return (scalar, aux) with has_aux=True, got "
                f"{type(out).__name__}. Return a pair."
            )
        return out[0]  # aux may be anything, as in JAX

    _check_scalar_shape("f", jax.eval_shape(value, x))


def outputs_reached_from(jaxpr: Any, source: Any) -> list[bool]:
    """Which outputs of a jaxpr depend on one of its inputs."""
    reached = {id(source)}
    for eqn in jaxpr.eqns:
        if any(id(v) in reached for v in eqn.invars):
            reached.update(id(v) for v in eqn.outvars)
    return [id(v) in reached for v in jaxpr.outvars]


def derivative_paths(
    f: Callable[..., Any], z: PyTree, args: Sequence[Any]
) -> list[tuple[bool, bool]]:
    """What f does with every leaf of its first argument, without computing.

    Args:
      f: ``f(z, *args) -> scalar``.
      z: shapes and dtypes of its first argument.
      args: the other arguments of ``f``.

    Returns:
      A pair for every leaf of z: whether the value depends on it, and whether a
      derivative can reach it. The second is read off the program of the derivative.
    """
    leaves, treedef = jax.tree.flatten(z)
    args = freeze(args)

    def scalar(*leaves: jax.Array) -> jax.Array:
        return jnp.asarray(f(jax.tree.unflatten(treedef, leaves), *args))

    def pullback(ct: jax.Array, *leaves: jax.Array) -> Any:
        return jax.vjp(scalar, *leaves)[1](ct)

    ct = jax.eval_shape(scalar, *leaves)
    forward = jax.make_jaxpr(scalar)(*leaves).jaxpr
    # JAX caches the derivative of a jitted f, and the control variate will
    # differentiate the same one again.
    with second_order_allowed():
        backward = jax.make_jaxpr(pullback)(ct, *leaves).jaxpr
    is_used = [outputs_reached_from(forward, v)[0] for v in forward.invars]
    has_path = outputs_reached_from(backward, backward.invars[0])
    return list(zip(is_used, has_path, strict=True))


def check_differentiable(
    name: str, what: str, f: Callable[..., Any], z: PyTree, args: Sequence[Any]
) -> None:
    """Raises where f uses a latent but its derivative there is zero by construction.

    It looks at whole leaves of z: f that rounds one coordinate and not another passes.

    Args:
      name: the estimator, for the message.
      what: what the user calls the function.
      f: ``f(z, *args) -> scalar``.
      z: shapes and dtypes of a sample.
      args: the other arguments of ``f``.
    """
    try:
        paths = derivative_paths(f, z, args)
    except ValueError as error:
        if "callbacks do not support JVP" not in str(error):
            raise
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to be differentiable in z, got a "
            "function that calls Python (jaxdiscrete.black_box, jax.pure_callback), "
            f"through which JAX has no derivative. {_DIFFERENTIABLE_REMEDY}"
        ) from error
    if any(used and not path for used, path in paths):
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to be differentiable in z, got a "
            "function whose derivative is zero by construction: what it contributes "
            f"would silently vanish. {_DIFFERENTIABLE_REMEDY}"
        )


def check_parameters(name: str, what: str, parameters: PyTree) -> None:
    """Raises unless a pytree holds real floating arrays and nothing else.

    Args:
      name: the function, for the message.
      what: what the user calls the pytree.
      parameters: what a gradient is taken with respect to.
    """
    leaves = jax.tree.leaves(parameters)
    if not leaves:
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to hold at least one array, got an "
            f"empty pytree {parameters!r}."
        )
    for x in leaves:
        got = str(x.dtype) if is_array(x) else type(x).__name__
        is_floating = is_array(x) and jnp.issubdtype(x.dtype, jnp.floating)
        if not is_floating and not isinstance(x, float):
            raise TypeError(
                f"Expected {what} of jaxdiscrete.{name} to be a pytree of floating "
                f"arrays, got {got}. Pass what has no gradient in args, and register "
                "a class of your own with jax.tree_util.register_dataclass."
            )


def check_can_be_stopped(what: str, args: Sequence[Any]) -> None:
    """Raises where an argument hides arrays whose gradient cannot be stopped."""
    for leaf in jax.tree.leaves(args):
        if not is_array(leaf) and not isinstance(leaf, bool | int | float | str):
            raise TypeError(
                f"Expected args that are arrays or pytrees of arrays, since the {what} "
                f"reads them stopped, got {type(leaf).__name__}, which may hide arrays "
                "that cannot be. Pass a jax.tree_util.Partial or a registered pytree, "
                "or let f close over it."
            )


def check_temperature(temperature: PyTree, what: str = "temperature") -> None:
    """Raises where a temperature is known and not positive."""
    remedy = (
        "Parametrise a trained temperature by its logarithm: "
        f"{what}=jnp.exp(log_temperature)."
    )
    check_positive(what, temperature, remedy)


def check_positive(what: str, value: PyTree, remedy: str) -> None:
    """Raises where a number is known and not positive."""
    for t in jax.tree.leaves(value):
        try:
            known = np.asarray(t, np.float64)
        except jax.errors.TracerArrayConversionError:
            continue
        if not np.all(known > 0):
            raise ValueError(f"Expected {what} > 0, got {t}. {remedy}")


def check_count(name: str, what: str, count: int, at_least: int, remedy: str) -> None:
    """Raises unless ``count`` is a large enough static integer."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(
            f"Expected {what} of jaxdiscrete.{name} to be a Python int, got "
            f"{type(count).__name__}. It is a shape, so it cannot be traced."
        )
    if count < at_least:
        raise ValueError(
            f"Expected {what} >= {at_least} in jaxdiscrete.{name}, got {count}. "
            f"{remedy}"
        )


def evaluate_baseline(
    what: str, baseline: ArrayLike | Callable[..., Any], args: Sequence[Any]
) -> jax.Array:
    """The baseline at the stopped ``args``, in at least float32, checked first."""
    if callable(baseline):
        check_can_be_stopped(what, args)
        inputs = freeze(args)
        _check_scalar_shape(what, jax.eval_shape(lambda: baseline(*inputs)))
        value = jnp.asarray(baseline(*inputs))
    else:
        _check_scalar_shape(what, jax.eval_shape(lambda: jnp.asarray(baseline) * 1.0))
        value = jnp.asarray(baseline)
    return wide(value)


def evaluate_optional_baseline(
    what: str, baseline: ArrayLike | Callable[..., Any] | None, args: Sequence[Any]
) -> jax.Array | None:
    """As :func:`evaluate_baseline`, or None where there is no baseline."""
    return None if baseline is None else evaluate_baseline(what, baseline, args)
