"""A test of whether an estimator uses f only through its value at the drawn z.

The estimator is traced with an f that is one marked call. The program then says how
often it stands there, and whether its argument is z itself; the mark can be neither
batched nor differentiated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxdiscrete.core.checking import is_checking
from jaxdiscrete.core.latents import is_array
from jaxdiscrete.core.marks import no_marks_are_made
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.precision import at_least_float32
from jaxdiscrete.core.sample import GivenSample, given_sample
from jaxdiscrete.core.signatures import takes_named_key_first
from jaxdiscrete.core.typing import Objective, PyTree
from jaxdiscrete.core.varying import match_varying_tree
from jaxdiscrete.graphs.sites import Transform

_MARK = "jaxdiscrete_objective_of_a_site"
_IDENTITIES = ("stop_gradient", "copy", "convert_element_type", "pvary", "pcast")
_CALLS = ("jit", "pjit", "checkpoint", "remat2")


def check_site(
    where: str,
    transform: Transform,
    q: PyTree,
    inputs: tuple[Any, ...],
    z: PyTree,
) -> None:
    """Raises unless a transform uses f only through its value at the drawn z.

    Args:
      where: the combinator, for the message.
      transform: of the site.
      q: its distributions.
      inputs: of its baseline or critic.
      z: what was drawn.
    """
    check_latents(where, q)
    _check_transform(where, transform)
    floating = [jnp.result_type(x) for x in jax.tree.leaves(q) if is_array(x)]
    floating = [d for d in floating if jnp.issubdtype(d, jnp.floating)]
    objective = _marked_objective(at_least_float32(*floating))

    def run(z: PyTree) -> Any:
        return transform(objective)(given_sample(z, jax.random.key(0)), q, *inputs)

    try:
        with no_marks_are_made():
            program = jax.make_jaxpr(run)(z).jaxpr
    except (NotImplementedError, ValueError) as error:
        if "callback" not in str(error):
            raise
        raise TypeError(
            _message(
                where,
                "inside a transformation of its own, at several points (jax.vmap) or "
                "for a derivative in z (jax.grad)",
            )
        ) from error
    except TypeError as error:
        if GivenSample.__name__ not in str(error):
            raise
        raise TypeError(
            f"Expected a transform in jaxdiscrete.{where} that takes its sample from "
            "jaxdiscrete.act(key, q), got one that uses its key otherwise. In place of "
            "a key it is told which sample was drawn."
        ) from error

    of_z: list[int | None] = list(range(len(program.invars)))
    points = list(_points(program, of_z))
    if len(points) != 1:
        raise TypeError(_message(where, f"at {len(points)} points"))
    if points[0] != of_z:
        raise TypeError(_message(where, "at another point, made of z or of q"))


def _check_transform(where: str, transform: Transform) -> None:
    if callable(transform) and not takes_named_key_first(transform):
        return
    got = type(transform).__name__
    if callable(transform):
        got = "an estimate, which takes a key"
    raise TypeError(
        f"Expected a transform in jaxdiscrete.{where}, such as jaxdiscrete.reinforce "
        f"and not jaxdiscrete.reinforce(f), got {got}."
    )


def _marked_objective(dtype: DTypeLike) -> Objective:
    """An f that is one marked call, of a value in the dtype."""

    def call(z: PyTree) -> jax.Array:
        shape = jax.ShapeDtypeStruct((), dtype)
        return jax.pure_callback(lambda z: np.zeros((), dtype), shape, z)

    call.__name__ = _MARK

    def objective(z: PyTree, *args: Any) -> jax.Array:
        del args
        if is_checking():
            return jnp.zeros((), dtype)
        return match_varying_tree(jax.jit(call)(z), z)

    return objective


def _points(jaxpr: Any, of_z: list[int | None]) -> Iterator[list[int | None]]:
    """The arguments of every marked call in a program: which leaves of z they are.

    Args:
      jaxpr: the program.
      of_z: which leaf of z each of its inputs is, or None.
    """
    leaf = dict(zip(map(id, jaxpr.invars), of_z, strict=True))
    for eqn in jaxpr.eqns:
        given = [leaf.get(id(v)) for v in eqn.invars]
        if eqn.params.get("name") == _MARK:
            yield given
            continue
        if eqn.primitive.name in _IDENTITIES:
            leaf.update(zip(map(id, eqn.outvars), given, strict=True))
        for inner in _programs_in(eqn.params):
            # The inputs of a call are those of its program. Of a loop they are not.
            is_call = eqn.primitive.name in _CALLS and len(inner.invars) == len(given)
            yield from _points(inner, given if is_call else [None] * len(inner.invars))


def _programs_in(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        for x in value if isinstance(value, tuple | list) else [value]:
            inner = getattr(x, "jaxpr", x)
            if hasattr(inner, "eqns"):
                yield inner


def _message(where: str, got: str) -> str:
    return (
        f"Expected a transform in jaxdiscrete.{where} that uses f only through its "
        f"value at the drawn z, got one that evaluates it {got}. f is the constant of "
        "what is charged afterwards there, so that part of the gradient would silently "
        "be zero. Use jaxdiscrete.reinforce, jaxdiscrete.nvil or jaxdiscrete.relax, or "
        "give jaxdiscrete.rebar and jaxdiscrete.muprop a relaxed_f."
    )
