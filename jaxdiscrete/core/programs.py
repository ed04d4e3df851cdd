"""Reading a program of JAX: what calls what, and what depends on what."""

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


def carry_of(eqn: Any) -> tuple[int, int]:
    """The place of the carry among the inputs of a scan, and how much of it there is.

    It is read off the ranks, which what is scanned over loses inside: the names of a
    scan's parameters are not the same in all versions of JAX.
    """
    body = eqn.params["jaxpr"].jaxpr

    def num_kept(outside: Any, inside: Any) -> int:
        pairs = zip(outside, inside, strict=True)
        return sum(len(a.aval.shape) == len(b.aval.shape) for a, b in pairs)

    count = num_kept(eqn.outvars, body.outvars)
    return num_kept(eqn.invars, body.invars) - count, count


def outputs_reached_from(jaxpr: Any, source: Any) -> list[bool]:
    """Tells which outputs of a program depend on one of its inputs.

    Args:
      jaxpr: an open jaxpr. What an equation calls is not entered: all of its results
        count as depending on all of its inputs.
      source: one of its input variables.

    Returns:
      One entry per output.
    """
    reached = {id(source)}
    for eqn in jaxpr.eqns:
        if any(id(v) in reached for v in eqn.invars):
            reached.update(id(v) for v in eqn.outvars)
    return [id(v) in reached for v in jaxpr.outvars]
