"""A loss is linear in the estimates that it is made of, or its program says where not.

The mean of an estimate is an expectation and the mean of its gradient that gradient;
the mean of its logarithm or square is neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxdiscrete.core.marks import CREDITED, ESTIMATE, FROZEN
from jaxdiscrete.core.programs import called_program, carry_of, follow, follow_loop

#: What a value is of the estimates: it does not depend on one, it is linear in them, or
#: beyond an operation of another kind, which is named.
Degree = str
NONE: Degree = ""
LINEAR: Degree = "linear"

_LINEAR_IN_ALL = frozenset(
    {
        "add",
        "add_any",
        "all_gather",
        "broadcast_in_dim",
        "concatenate",
        "convert_element_type",
        "copy",
        "copy_p",
        "cumsum",
        "neg",
        "optimization_barrier",
        "pad",
        "pcast",
        "psum",
        "psum_invariant",
        "pvary",
        "reduce_precision",
        "reduce_sum",
        "reshape",
        "rev",
        "sharding_constraint",
        "slice",
        "split",
        "squeeze",
        "sub",
        "transpose",
    }
)
#: A product of estimates has the product's mean where their keys are independent.
_LINEAR_IN_EACH = frozenset({"mul", "dot_general"})
_LINEAR_IN_FIRST = frozenset({"div", "gather", "dynamic_slice"})
_STOPPED = frozenset({"stop_gradient", "is_finite"})
_PARAMETERS = "the parameters of a distribution"


def nonlinearity(jaxpr: Any) -> str:
    """The operation through which a loss is not linear in an estimate.

    Args:
      jaxpr: of the loss, one scalar, traced where marks are made.

    Returns:
      For instance ``"log"``; empty where there is none.
    """
    reader = _Reader()
    (degree,) = reader.follow(jaxpr, [NONE] * len(jaxpr.invars))
    return reader.of_parameters or ("" if degree == LINEAR else degree)


class _Reader:
    """Follows a program, and remembers an estimate that became parameters.

    What is drawn with them is a constant, so that the value shows nothing of it.
    """

    def __init__(self) -> None:
        self.of_parameters = ""

    def follow(self, jaxpr: Any, inputs: Sequence[Degree]) -> list[Degree]:
        """The degrees of the outputs of a program, from those of its inputs."""
        return follow(jaxpr, inputs, NONE, self._after)

    def _after(self, eqn: Any, operands: list[Degree]) -> list[Degree]:
        name, mark = eqn.primitive.name, eqn.params.get("name")
        together = _highest(operands)
        if mark == ESTIMATE:
            return [together or LINEAR] * len(eqn.outvars)
        if mark == CREDITED and together != NONE:
            self.of_parameters = _PARAMETERS if together == LINEAR else together
        if mark == FROZEN or name in _STOPPED:
            return [NONE] * len(eqn.outvars)
        if name == "scan":
            body = eqn.params["jaxpr"].jaxpr
            return follow_loop(
                lambda degrees: self.follow(body, degrees),
                operands,
                *carry_of(eqn),
                lambda a, b: _highest([a, b]),
            )[1]
        if name == "cond":
            branches = [
                self.follow(b.jaxpr, operands[1:]) for b in eqn.params["branches"]
            ]
            chosen = [_highest(pair) for pair in zip(*branches, strict=True)]
            return [_bent("a comparison", operands[:1]) or way for way in chosen]
        inner = called_program(eqn)
        if inner is not None:
            return self.follow(inner, operands)
        return [_of_primitive(eqn, operands)] * len(eqn.outvars)


def _highest(degrees: Sequence[Degree]) -> Degree:
    bent = [d for d in degrees if d not in (NONE, LINEAR)]
    return bent[0] if bent else LINEAR if LINEAR in degrees else NONE


def _of_primitive(eqn: Any, operands: list[Degree]) -> Degree:
    name = eqn.primitive.name
    together = _highest(operands)
    if together != LINEAR or name in _LINEAR_IN_ALL:
        return together
    if name in _LINEAR_IN_EACH:
        is_square = name == "mul" and eqn.invars[0] is eqn.invars[1]
        return "a square" if is_square else LINEAR
    if name in _LINEAR_IN_FIRST:
        return _bent(name, operands[1:]) or LINEAR
    if name == "select_n":
        return _bent("a comparison", operands[:1]) or LINEAR
    is_test_for_nan = name == "ne" and eqn.invars[0] is eqn.invars[1]
    return NONE if is_test_for_nan else name


def _bent(by: str, operands: Sequence[Degree]) -> Degree:
    degree = _highest(operands)
    return by if degree == LINEAR else degree
