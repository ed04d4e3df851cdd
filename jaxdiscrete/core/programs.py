"""What a program of JAX shows: what calls what, and what depends on what."""

from __future__ import annotations

from typing import Any


def called_program(eqn: Any) -> Any:
    """The program that an equation calls with its own operands, or None."""
    # The last one is that of a rule under JAX_CUSTOM_VJP3.
    traced = getattr(eqn.params.get("_prim"), "traced", None)
    named = map(eqn.params.get, ("jaxpr", "call_jaxpr", "fun_jaxpr"))
    for inner in (*named, getattr(traced, "jaxpr", None)):
        inner = getattr(inner, "jaxpr", inner)
        if inner is not None and (
            len(inner.invars) == len(eqn.invars)
            and len(inner.outvars) == len(eqn.outvars)
        ):
            return inner
    return None


def outputs_reached_from(jaxpr: Any, source: Any) -> list[bool]:
    """Tells which outputs of a program depend on one of its inputs."""
    reached = {id(source)}
    for eqn in jaxpr.eqns:
        if any(id(v) in reached for v in eqn.invars):
            reached.update(id(v) for v in eqn.outvars)
    return [id(v) in reached for v in jaxpr.outvars]
