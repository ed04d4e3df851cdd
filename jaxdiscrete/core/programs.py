"""Reading a program of JAX: what calls what, and what depends on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Mark = TypeVar("Mark")


def follow(
    jaxpr: Any,
    inputs: Sequence[Mark],
    nothing: Mark,
    after: Callable[[Any, list[Mark]], Sequence[Mark]],
) -> list[Mark]:
    """The marks of the outputs of a program, from those of its inputs.

    Args:
      jaxpr: an open jaxpr.
      inputs: a mark of every input.
      nothing: the mark of constants.
      after: ``(equation, marks of its operands) -> marks of its results``.

    Returns:
      A mark of every output.
    """
    marks = dict(zip(map(id, jaxpr.invars), inputs, strict=True))
    for eqn in jaxpr.eqns:
        taken = _taken(eqn)
        if taken is None:
            results = after(eqn, [marks.get(id(v), nothing) for v in eqn.invars])
        else:
            results = [marks.get(id(taken), nothing)]
        marks.update(zip(map(id, eqn.outvars), results, strict=True))
    return [marks.get(id(v), nothing) for v in jaxpr.outvars]


def _taken(eqn: Any) -> Any:
    """The operand that a selection takes, if the program itself says which."""
    if eqn.primitive.name != "select_n" or not hasattr(eqn.invars[0], "val"):
        return None
    return eqn.invars[1 + int(eqn.invars[0].val)]


def follow_loop(
    body: Callable[[list[Mark]], list[Mark]],
    inputs: Sequence[Mark],
    first: int,
    count: int,
    join: Callable[[Mark, Mark], Mark],
) -> tuple[list[Mark], list[Mark]]:
    """Follows what a loop carries until nothing is new.

    Args:
      body: from the marks of the inputs of its body to those of its outputs, of which
        the first are carried.
      inputs: their marks before the first round.
      first: the place of the carry among them.
      count: how much of it there is.
      join: the mark of a value that has one mark or the other.

    Returns:
      The marks of the inputs in any round, and those of the outputs.
    """
    inputs = list(inputs)
    while True:
        outputs = body(inputs)
        before = inputs[first : first + count]
        pairs = zip(before, outputs[:count], strict=True)
        carry = [join(*pair) for pair in pairs]
        if carry == before:
            return inputs, outputs
        inputs = [*inputs[:first], *carry, *inputs[first + count :]]


def called_program(eqn: Any) -> Any:
    """The program that an equation calls with its own operands, or None.

    Args:
      eqn: of a jaxpr.

    Returns:
      An open jaxpr, with an input per operand and an output per result.
    """
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

    Args:
      eqn: of a scan.

    Returns:
      ``(first, count)``.
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
        taken = _taken(eqn)
        operands = eqn.invars if taken is None else [taken]
        if any(id(v) in reached for v in operands):
            reached.update(id(v) for v in eqn.outvars)
    return [id(v) in reached for v in jaxpr.outvars]
