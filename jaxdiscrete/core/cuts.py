"""Where a function loses part of its derivative: followed through its program.

A derivative is lost where a value depends on an input through rounding, an index, a
``stop_gradient`` or a rule of the user's. Whole inputs do not show it: one smooth term
hides the rest. So every value of the program carries how it depends on the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp

from jaxdiscrete.core.checking import checking
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.marks import CREDITED, FROZEN, LEFT_THROUGH_AUX, marks_are_made
from jaxdiscrete.core.programs import (
    called_program,
    carry_of,
    follow,
    follow_loop,
    outputs_reached_from,
)
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.core.ways import (
    CONSTANT,
    INPUT,
    Way,
    after_primitive,
    credited,
    lost,
    selected,
    together,
)

AUX = "the aux of an estimator, which gets no credit"
RULE = "a rule of its own whose derivative is zero"


def way_of(f: Callable[..., Any], z: PyTree, args: Sequence[Any]) -> Way:
    """How ``f`` depends on its first argument.

    f is traced once, and the custom rules in it once more each.

    Args:
      f: ``f(z, *args) -> scalar``.
      z: shapes and dtypes of its first argument.
      args: the other arguments of ``f``.

    Returns:
      The way of its value. ``cut`` says in words what takes part of the derivative, for
      instance ``"a comparison"``, and is empty where nothing is lost.
    """
    leaves, treedef = jax.tree.flatten(z)
    args = freeze(args)

    def scalar(*leaves: jax.Array) -> jax.Array:
        return jnp.asarray(f(jax.tree.unflatten(treedef, leaves), *args))

    with checking(), marks_are_made():
        program = jax.make_jaxpr(scalar)(*leaves).jaxpr
        (way,) = _Reader().follow(program, [INPUT] * len(leaves))
    return way._replace(choice="", cut=way.cut or way.choice)


class _Reader:
    """Follows a program; the rules it has met are looked at once."""

    def __init__(self) -> None:
        self._is_lost_in_rule: dict[Any, bool] = {}

    def follow(self, jaxpr: Any, inputs: Sequence[Way]) -> list[Way]:
        """The ways of the outputs of a program, from those of its inputs."""
        return follow(jaxpr, inputs, CONSTANT, self._after)

    def _after(self, eqn: Any, operands: list[Way]) -> list[Way]:
        if all(way.is_constant for way in operands):
            return [CONSTANT] * len(eqn.outvars)
        name = eqn.primitive.name
        if eqn.params.get("name") in (CREDITED, FROZEN):
            return [credited(together(operands))] * len(eqn.outvars)
        if eqn.params.get("name") == LEFT_THROUGH_AUX:
            way = together(operands)
            way = way._replace(cut=way.cut or AUX) if way.is_credited else way
            return [way] * len(eqn.outvars)
        if name == "scan":
            body = eqn.params["jaxpr"].jaxpr
            return self._loop(body, operands, *carry_of(eqn))[1]
        if name == "while":
            return self._while(eqn, operands)
        if name == "cond":
            branches = eqn.params["branches"]
            ways = [self.follow(b.jaxpr, operands[1:]) for b in branches]
            return [selected(operands[0], w) for w in zip(*ways, strict=True)]
        if name == "custom_linear_solve":
            return [together(_solved(eqn, operands))] * len(eqn.outvars)
        inner = called_program(eqn)
        if inner is not None:
            results = self.follow(inner, operands)
            if name.startswith(("custom_", "call_hi_primitive")):
                return self._by_rule(eqn, operands, results)
            return results
        return after_primitive(eqn, operands)

    def _loop(
        self, body: Any, inputs: Sequence[Way], first: int, count: int
    ) -> tuple[list[Way], list[Way]]:
        def join(a: Way, b: Way) -> Way:
            return together([a, b])

        return follow_loop(
            lambda ways: self.follow(body, ways), inputs, first, count, join
        )

    def _while(self, eqn: Any, operands: list[Way]) -> list[Way]:
        of_test = eqn.params["cond_nconsts"]
        first = eqn.params["body_nconsts"]
        body = eqn.params["body_jaxpr"].jaxpr
        before = operands[of_test:]
        # It may end before its first round, with what it began with.
        inputs, _ = self._loop(body, before, first, len(before) - first)
        carry = inputs[first:]
        test = eqn.params["cond_jaxpr"].jaxpr
        (goes_on,) = self.follow(test, [*operands[:of_test], *carry])
        changes = [
            after is not before
            for after, before in zip(body.outvars, body.invars[first:], strict=True)
        ]
        return [
            selected(goes_on, [way]) if yes else way
            for way, yes in zip(carry, changes, strict=True)
        ]

    def _by_rule(self, eqn: Any, operands: list[Way], results: list[Way]) -> list[Way]:
        """Results of a function with a derivative of its own, which may be zero."""
        if not any(way.has_derivative or way.is_credited for way in results):
            return results
        key = (id(called_program(eqn)), *(way.has_derivative for way in operands))
        if key not in self._is_lost_in_rule:
            self._is_lost_in_rule[key] = _rule_is_zero(eqn, operands)
        if not self._is_lost_in_rule[key]:
            return results
        return [lost(way, RULE) for way in results]


def _solved(eqn: Any, operands: list[Way]) -> list[Way]:
    """The operands of a linear system, without what its solver computed from them."""
    lengths = eqn.params["const_lengths"]
    return [*operands[: lengths.matvec], *operands[sum(lengths) :]]


def _rule_is_zero(eqn: Any, operands: Sequence[Way]) -> bool:
    """Tells whether the rule of a function loses the derivative of an operand.

    What is credited is differentiated too, for the sake of rules that refuse it.
    """
    moving = [
        i
        for i, (way, v) in enumerate(zip(operands, eqn.invars, strict=True))
        if (way.has_derivative or way.is_credited)
        and jnp.issubdtype(v.aval.dtype, jnp.inexact)
    ]
    # Variables of its own, since one value may stand in two places.
    inner = called_program(eqn)
    outvars = [v for v in eqn.outvars if jnp.issubdtype(v.aval.dtype, jnp.inexact)]
    alone = inner.replace(
        constvars=[],
        outvars=outvars,
        eqns=[eqn.replace(invars=inner.invars)],
        effects=eqn.effects,
    )
    call = jax.extend.core.jaxpr_as_fun(jax.extend.core.ClosedJaxpr(alone, ()))

    def derivative(cotangents: list[jax.Array], values: list[jax.Array]) -> Any:
        def of_moving(*some: jax.Array) -> Any:
            merged = list(values)
            for place, x in zip(moving, some, strict=True):
                merged[place] = x
            return call(*merged)

        _, pullback = jax.vjp(of_moving, *(values[place] for place in moving))
        return pullback(cotangents)

    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in inner.invars]
    seeds = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in outvars]
    program = jax.make_jaxpr(derivative)(seeds, shapes).jaxpr
    reached = [outputs_reached_from(program, v) for v in program.invars[: len(outvars)]]
    columns = zip(moving, *reached, strict=True)
    return not all(any(column) for i, *column in columns if operands[i].has_derivative)
