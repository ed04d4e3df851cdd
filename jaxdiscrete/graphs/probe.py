"""A test of whether an estimator uses f only through its value at the drawn z.

The estimator is traced with an f that is one marked call. The program then says how
often it stands there, and what its argument depends on; the mark can be neither batched
nor differentiated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxdiscrete.core.estimator import is_checking
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.precision import at_least_float32
from jaxdiscrete.core.sample import GivenSample, given_sample
from jaxdiscrete.core.typing import Objective, PyTree
from jaxdiscrete.graphs.sites import Transform

_MARK = "jaxdiscrete_objective_of_a_site"


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
    if not callable(transform):
        raise TypeError(
            f"Expected a transform in jaxdiscrete.{where}, such as "
            f"jaxdiscrete.reinforce, got {type(transform).__name__}."
        )

    floating = [jnp.result_type(x) for x in jax.tree.leaves(q)]
    floating = [d for d in floating if jnp.issubdtype(d, jnp.floating)]
    objective = _marked_objective(at_least_float32(*floating))

    def run(z: PyTree, rest: Any) -> Any:
        key, q, inputs = rest
        return transform(objective)(given_sample(z, key), q, *inputs)

    try:
        program = jax.make_jaxpr(run)(z, (jax.random.key(0), q, inputs)).jaxpr
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

    num_of_z = len(jax.tree.leaves(z))
    is_rest = [i >= num_of_z for i in range(len(program.invars))]
    depends_on_rest = list(_marked_calls(program, is_rest))
    if len(depends_on_rest) != 1:
        raise TypeError(_message(where, f"at {len(depends_on_rest)} points"))
    if depends_on_rest[0]:
        raise TypeError(
            _message(where, "at a point that depends on q, on the key or on the inputs")
        )


def _marked_objective(dtype: DTypeLike) -> Objective:
    """An f that is one marked call, of a value in the dtype."""

    def call(z: PyTree) -> jax.Array:
        shape = jax.ShapeDtypeStruct((), dtype)
        return jax.pure_callback(lambda z: np.zeros((), dtype), shape, z)

    call.__name__ = _MARK

    def objective(z: PyTree, *args: Any) -> jax.Array:
        del args
        return jnp.zeros((), dtype) if is_checking() else jax.jit(call)(z)

    return objective


def _marked_calls(jaxpr: Any, is_source: list[bool]) -> Iterator[bool]:
    """For every marked call in a program, whether it depends on one of the sources."""
    reached = {id(v) for v, yes in zip(jaxpr.invars, is_source, strict=True) if yes}
    for eqn in jaxpr.eqns:
        depends = [id(v) in reached for v in eqn.invars]
        if any(depends):
            reached.update(id(v) for v in eqn.outvars)
        if eqn.params.get("name") == _MARK:
            yield any(depends)
            continue
        for inner in _programs_in(eqn.params):
            # The inputs of a plain call are those of its program. Those of a loop or
            # a branch may be any of them.
            is_call = eqn.primitive.name in ("jit", "pjit", "checkpoint", "remat2")
            is_call = is_call and len(inner.invars) == len(depends)
            sources = depends if is_call else [any(depends)] * len(inner.invars)
            yield from _marked_calls(inner, sources)


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
