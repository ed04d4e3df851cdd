"""How a value depends on inputs, and what an operation leaves of that.

A comparison that selects among values that have derivatives (``where(x > 0, x, 0)``)
cannot be told from a jump by reading, and loses nothing here. What is selected among
constants (``x > 0`` as a number, a row of a table, a sign) is itself a jump, unless it
multiplies something that has a derivative, which again selects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np


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
        return self == CONSTANT


CONSTANT = Way()
INPUT = Way(has_derivative=True)

_ROUNDINGS = frozenset({"round", "floor", "ceil", "rem", "nextafter"})
_ORDERS = ("lt", "le", "gt", "ge", "eq", "ne", "lt_to", "le_to", "eq_to")
_COMPARISONS = frozenset({*_ORDERS, "sign"})
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
    **dict.fromkeys(_ORDERS, "a comparison"),
}
CALLBACK = "a call of Python"


def together(ways: Sequence[Way]) -> Way:
    """The ways of a value that is computed from others, without a loss."""
    moving = [w for w in ways if not w.is_constant]
    if not moving:
        return CONSTANT
    return Way(
        any(w.has_derivative for w in moving),
        all(w.is_maximum for w in moving),
        any(w.is_credited for w in moving),
        next((w.choice for w in moving if w.choice), ""),
        next((w.cut for w in moving if w.cut), ""),
    )


def lost(way: Way, to: str) -> Way:
    """A way behind a place where the derivative is lost."""
    cut = way.cut or way.choice or (to if way.has_derivative else "")
    return Way(is_credited=way.is_credited, cut=cut)


def chosen(way: Way, by: str) -> Way:
    """A way behind a place where the value only chooses."""
    choice = way.choice or (by if way.has_derivative else "")
    return way._replace(has_derivative=False, choice=choice)


def credited(way: Way) -> Way:
    """A way behind parameters that an estimator accounts for."""
    if way.cut or way.choice:
        return Way(is_credited=True, cut=way.cut or way.choice)
    return way if way.is_constant else Way(is_credited=True)


def selected(by: Way, among: Sequence[Way]) -> Way:
    """One of several values, which another one selects."""
    way = together(among)
    if by.cut:
        return lost(together([by, way]), "")
    chooses = by.choice and not way.has_derivative
    return way._replace(
        is_credited=way.is_credited or by.is_credited,
        choice=way.choice or (by.choice if chooses else ""),
    )


def after_primitive(eqn: Any, operands: list[Way]) -> list[Way]:
    """The ways of the results of an operation that calls no other program."""
    name = eqn.primitive.name
    if name in _INDEXED:
        count = _INDEXED[name] if not name.startswith("scatter") else 1
        is_index = [i >= count for i in range(len(operands))]
        if name.startswith("scatter"):
            is_index = [False, True, False]
        values = [w for w, yes in zip(operands, is_index, strict=True) if not yes]
        places = [w for w, yes in zip(operands, is_index, strict=True) if yes]
        return [selected(together(places), values)]
    if name == "select_n":
        way = selected(operands[0], operands[1:])
        return [way._replace(is_maximum=together(operands[1:]).is_maximum)]
    if name == "sort":
        keys = together(operands[: eqn.params["num_keys"]])
        order = chosen(keys, _WORDS[name])
        number = eqn.params["num_keys"]
        rest = [selected(order, [way]) for way in operands[number:]]
        return [*operands[:number], *rest]
    if _tests_for_numbers(eqn):
        # What is masked or not a number stays so, however its parameters move.
        way = together(operands)
        return [way._replace(has_derivative=False, is_maximum=False)]
    return [_elementwise(name, v.aval.dtype, operands) for v in eqn.outvars]


def _tests_for_numbers(eqn: Any) -> bool:
    """Tells whether an operation asks only if its operand is finite, or NaN."""
    name, invars = eqn.primitive.name, eqn.invars
    if name not in ("eq", "ne"):
        return bool(name == "is_finite")
    constants = [v.val for v in invars if hasattr(v, "val")]
    return invars[0] is invars[1] or any(np.isinf(x).all() for x in constants)


def _elementwise(name: str, dtype: Any, operands: list[Way]) -> Way:
    """The ways of one result of an operation that mixes its operands."""
    way = _mixed(name, operands)
    word = _WORDS.get(name, name)
    is_floating = jnp.issubdtype(dtype, jnp.inexact)
    if name == "stop_gradient":
        if way.is_maximum:
            return way._replace(has_derivative=False, is_maximum=False)
        return lost(way, "a stop_gradient") if way.has_derivative else way
    if name in _CALLBACKS:
        return lost(way, CALLBACK)
    if name in _ROUNDINGS:
        return lost(way, word)
    if name in _COMPARISONS:
        return chosen(way, word)
    if not is_floating and way.has_derivative:
        is_cast = name in ("convert_element_type", "bitcast_convert_type")
        if is_cast and dtype != jnp.bool_:
            return lost(way, word)
        return chosen(way, _WORDS.get(name, f"the integers of {name}"))
    if name in _MAXIMA and way.has_derivative:
        return way._replace(is_maximum=True)
    return way if name in _KEEP_A_MAXIMUM else way._replace(is_maximum=False)


def _mixed(name: str, operands: list[Way]) -> Way:
    """The operands together, where a choice among constants meets a derivative."""
    way = together(operands)
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
