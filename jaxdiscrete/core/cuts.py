"""Where a function loses part of its derivative: followed through its program.

A derivative is lost where a value depends on an input through rounding, an index, a
``stop_gradient`` or a rule of the user's. Whole inputs do not show it: one smooth term
hides the rest. So every value of the program carries how it depends on the inputs.

A comparison that selects among values that have derivatives (``where(x > 0, x, 0)``)
cannot be told from a jump by reading, and passes. What is selected among constants
(``x > 0`` as a number, a row of a table, a sign) is itself a jump, unless it multiplies
something that has a derivative, which again selects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp

from jaxdiscrete.core.checking import checking
from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.marks import CREDITED, FROZEN, LEFT_THROUGH_AUX, marks_are_made
from jaxdiscrete.core.programs import called_program, outputs_reached_from
from jaxdiscrete.core.typing import PyTree


class Way(NamedTuple):
    """The ways on which a value depends on the inputs.

    Attributes:
      has_derivative: on one way, a derivative passes.
      is_maximum: it is a maximum over entries, or constant. To stop the maximum that
        is taken off before an exponential loses nothing.
      is_credited: through the parameters of a distribution that an estimator inside
        the function draws from, and accounts for.
      choice: on one way, it is chosen among constants; by what.
      cut: on one way, its derivative is lost; to what.
    """

    has_derivative: bool = False
    is_maximum: bool = False
    is_credited: bool = False
    choice: str = ""
    cut: str = ""

    @property
    def is_constant(self) -> bool:
        """Tells whether it depends on the inputs in no way."""
        return self == _CONSTANT


_CONSTANT = Way()
_INPUT = Way(has_derivative=True)

_ROUNDINGS = frozenset({"round", "floor", "ceil", "rem", "nextafter"})
_ORDERS = ("lt", "le", "gt", "ge", "eq", "ne", "lt_to", "le_to", "eq_to")
_COMPARISONS = frozenset({*_ORDERS, "is_finite", "sign"})
_MAXIMA = frozenset({"reduce_max", "reduce_min", "cummax", "cummin", "pmax", "pmin"})
#: They leave a maximum a maximum, where all of their operands are.
_KEEP_A_MAXIMUM = frozenset(
    {
        "max",
        "min",
        "neg",
        "select_n",
        "broadcast_in_dim",
        "reshape",
        "squeeze",
        "transpose",
        "convert_element_type",
        "concatenate",
        "slice",
        "all_gather",
        "pvary",
        "pcast",
        "copy",
    }
)
#: Linear in each operand: a factor that is chosen selects among multiples of others.
_PRODUCTS = frozenset(
    {"mul", "div", "dot_general", "conv_general_dilated", "triangular_solve"}
)
#: They put entries side by side, each of which keeps its own way.
_CONTAINERS = frozenset(
    {"concatenate", "dynamic_update_slice", "scatter", "pad", "stack", "copy"}
)
#: They read the first operands at the places that the other ones name.
_INDEXED = {"gather": 1, "dynamic_slice": 1, "scatter": 1, "dynamic_update_slice": 2}
_CALLBACKS = frozenset({"pure_callback", "io_callback", "ffi_call"})
_WORDS = {
    "convert_element_type": "a cast to integers",
    "bitcast_convert_type": "its bits",
    "argmax": "an argmax",
    "argmin": "an argmin",
    "sort": "the order of a sort",
    "top_k": "the indices of a top_k",
    "rem": "a remainder",
    "sign": "a sign",
    "round": "a rounding",
    "floor": "a floor",
    "ceil": "a ceiling",
    "is_finite": "a test for finite numbers",
    **dict.fromkeys(_ORDERS, "a comparison"),
}
AUX = "the aux of an estimator, which gets no credit"
CALLBACK = "a call of Python"
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
        (way,) = _Reader().follow(program, [_INPUT] * len(leaves))
    return way._replace(choice="", cut=way.cut or way.choice)


def _together(ways: Sequence[Way]) -> Way:
    """The ways of a value that is computed from others, without a loss."""
    moving = [w for w in ways if not w.is_constant]
    if not moving:
        return _CONSTANT
    return Way(
        any(w.has_derivative for w in moving),
        all(w.is_maximum for w in moving),
        any(w.is_credited for w in moving),
        next((w.choice for w in moving if w.choice), ""),
        next((w.cut for w in moving if w.cut), ""),
    )


def _lost(way: Way, to: str) -> Way:
    """What is left of a way where the derivative is lost."""
    cut = way.cut or way.choice or (to if way.has_derivative else "")
    return Way(is_credited=way.is_credited, cut=cut)


def _chosen(way: Way, by: str) -> Way:
    """What is left of a way where it only chooses."""
    choice = way.choice or (by if way.has_derivative else "")
    return way._replace(has_derivative=False, choice=choice)


class _Reader:
    """Follows a program; the rules it has met are looked at once."""

    def __init__(self) -> None:
        self._is_lost_in_rule: dict[Any, bool] = {}

    def follow(self, jaxpr: Any, inputs: Sequence[Way]) -> list[Way]:
        """The ways of the outputs of a program, from those of its inputs."""
        ways = dict(zip(map(id, jaxpr.invars), inputs, strict=True))

        def read(v: Any) -> Way:
            return ways.get(id(v), _CONSTANT)

        for eqn in jaxpr.eqns:
            operands = [read(v) for v in eqn.invars]
            if any(not way.is_constant for way in operands):
                results = self._after(jaxpr, eqn, operands)
                ways.update(zip(map(id, eqn.outvars), results, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def _after(self, jaxpr: Any, eqn: Any, operands: list[Way]) -> list[Way]:
        name = eqn.primitive.name
        if eqn.params.get("name") in (CREDITED, FROZEN):
            return [_credited(_together(operands))] * len(eqn.outvars)
        if eqn.params.get("name") == LEFT_THROUGH_AUX:
            way = _together(operands)
            way = way._replace(cut=way.cut or AUX) if way.is_credited else way
            return [way] * len(eqn.outvars)
        if name == "scan":
            return self._scan(eqn, operands)
        if name == "while":
            return self._while(eqn, operands)
        if name == "cond":
            branches = eqn.params["branches"]
            ways = [self.follow(b.jaxpr, operands[1:]) for b in branches]
            return [_selected(operands[0], w) for w in zip(*ways, strict=True)]
        if name == "custom_linear_solve":
            return [_together(_solved(eqn, operands))] * len(eqn.outvars)
        inner = called_program(eqn)
        if inner is not None:
            results = self.follow(inner, operands)
            if name.startswith(("custom_", "call_hi_primitive")):
                return self._by_rule(jaxpr, eqn, operands, results)
            return results
        return _primitive(eqn, operands)

    def _scan(self, eqn: Any, operands: list[Way]) -> list[Way]:
        body = eqn.params["jaxpr"].jaxpr
        first, count = eqn.params["num_consts"], eqn.params["num_carry"]
        return self._loop(body, operands, first, count)

    def _while(self, eqn: Any, operands: list[Way]) -> list[Way]:
        of_test = eqn.params["cond_nconsts"]
        first = eqn.params["body_nconsts"]
        body = eqn.params["body_jaxpr"].jaxpr
        inputs = operands[of_test:]
        carry = self._loop(body, inputs, first, len(inputs) - first)
        test = eqn.params["cond_jaxpr"].jaxpr
        (goes_on,) = self.follow(test, [*operands[:of_test], *carry])
        changes = [
            after is not before
            for after, before in zip(body.outvars, body.invars[first:], strict=True)
        ]
        return [
            _selected(goes_on, [way]) if yes else way
            for way, yes in zip(carry, changes, strict=True)
        ]

    def _loop(self, body: Any, inputs: list[Way], first: int, count: int) -> list[Way]:
        """The results of a loop, whose carry is followed until nothing is new."""
        while True:
            results = self.follow(body, inputs)
            before = inputs[first : first + count]
            carry = [
                _together(pair) for pair in zip(before, results[:count], strict=True)
            ]
            if carry == before:
                return [*carry, *results[count:]]
            inputs = [*inputs[:first], *carry, *inputs[first + count :]]

    def _by_rule(
        self, jaxpr: Any, eqn: Any, operands: list[Way], results: list[Way]
    ) -> list[Way]:
        """Results of a function with a derivative of its own, which may be zero."""
        if not any(way.has_derivative or way.is_credited for way in results):
            return results
        key = (id(called_program(eqn)), *(way.has_derivative for way in operands))
        if key not in self._is_lost_in_rule:
            self._is_lost_in_rule[key] = _rule_is_zero(jaxpr, eqn, operands)
        if not self._is_lost_in_rule[key]:
            return results
        return [_lost(way, RULE) for way in results]


def _credited(way: Way) -> Way:
    if way.cut or way.choice:
        return Way(is_credited=True, cut=way.cut or way.choice)
    return way if way.is_constant else Way(is_credited=True)


def _selected(by: Way, among: Sequence[Way]) -> Way:
    """One of several values, which another one selects."""
    way = _together(among)
    if by.cut:
        return _lost(_together([by, way]), "")
    chooses = by.choice and not way.has_derivative
    return way._replace(
        is_credited=way.is_credited or by.is_credited,
        choice=way.choice or (by.choice if chooses else ""),
    )


def _solved(eqn: Any, operands: list[Way]) -> list[Way]:
    """The operands of a linear system, without what its solver computed from them."""
    lengths = eqn.params["const_lengths"]
    return [*operands[: lengths.matvec], *operands[sum(lengths) :]]


def _primitive(eqn: Any, operands: list[Way]) -> list[Way]:
    name = eqn.primitive.name
    if name in _INDEXED:
        count = _INDEXED[name] if not name.startswith("scatter") else 1
        is_index = [i >= count for i in range(len(operands))]
        if name.startswith("scatter"):
            is_index = [False, True, False]
        values = [w for w, yes in zip(operands, is_index, strict=True) if not yes]
        places = [w for w, yes in zip(operands, is_index, strict=True) if yes]
        return [_selected(_together(places), values)]
    if name == "select_n":
        way = _selected(operands[0], operands[1:])
        return [way._replace(is_maximum=_together(operands[1:]).is_maximum)]
    if name == "sort":
        keys = _together(operands[: eqn.params["num_keys"]])
        order = _chosen(keys, _WORDS[name])
        number = eqn.params["num_keys"]
        rest = [_selected(order, [way]) for way in operands[number:]]
        return [*operands[:number], *rest]
    return [_elementwise(name, v.aval.dtype, operands) for v in eqn.outvars]


def _elementwise(name: str, dtype: Any, operands: list[Way]) -> Way:
    """The ways of one result of an operation that mixes its operands."""
    way = _mixed(name, operands)
    word = _WORDS.get(name, name)
    is_floating = jnp.issubdtype(dtype, jnp.inexact)
    if name == "stop_gradient":
        if way.is_maximum:
            return way._replace(has_derivative=False, is_maximum=False)
        return _lost(way, "a stop_gradient") if way.has_derivative else way
    if name in _CALLBACKS:
        return _lost(way, CALLBACK)
    if name in _ROUNDINGS:
        return _lost(way, word)
    if name in _COMPARISONS:
        return _chosen(way, word)
    if not is_floating and way.has_derivative:
        is_cast = name in ("convert_element_type", "bitcast_convert_type")
        if is_cast and dtype != jnp.bool_:
            return _lost(way, word)
        return _chosen(way, word)
    if name in _MAXIMA and way.has_derivative:
        return way._replace(is_maximum=True)
    return way if name in _KEEP_A_MAXIMUM else way._replace(is_maximum=False)


def _mixed(name: str, operands: list[Way]) -> Way:
    """The operands together, where a choice among constants meets a derivative."""
    way = _together(operands)
    if not (way.choice and way.has_derivative) or name in _CONTAINERS:
        return way
    choices = [i for i, w in enumerate(operands) if w.choice]
    if len(operands) == 1:
        return way
    if name not in _PRODUCTS:
        return way._replace(cut=way.cut or way.choice, choice="")
    survives = [
        i
        for i in choices
        if not any(w.has_derivative for j, w in enumerate(operands) if j != i)
    ]
    return way._replace(choice=operands[survives[0]].choice if survives else "")


def _rule_is_zero(jaxpr: Any, eqn: Any, operands: Sequence[Way]) -> bool:
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
    invars = called_program(eqn).invars
    outvars = [v for v in eqn.outvars if jnp.issubdtype(v.aval.dtype, jnp.inexact)]
    alone = jaxpr.replace(
        constvars=[],
        invars=invars,
        outvars=outvars,
        eqns=[eqn.replace(invars=invars)],
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

    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in invars]
    seeds = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in outvars]
    program = jax.make_jaxpr(derivative)(seeds, shapes).jaxpr
    reached = [
        outputs_reached_from(program, v) for v in program.invars[: len(outvars)]
    ]
    columns = zip(moving, *reached, strict=True)
    return not all(
        any(column) for i, *column in columns if operands[i].has_derivative
    )
