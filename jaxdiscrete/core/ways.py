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
      is_nan_test: it tells where an input is NaN, and nothing else.
    """

    has_derivative: bool = False
    is_maximum: bool = False
    is_credited: bool = False
    choice: str = ""
    cut: str = ""
    is_nan_test: bool = False

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
_CONTAINERS = frozenset({"concatenate", "pad"})
#: Which of the operands are the places where the other ones are read or written.
_PLACES = {
    "gather": slice(1, None),
    "dynamic_slice": slice(1, None),
    "scatter": slice(1, 2),
    "dynamic_update_slice": slice(2, None),
}
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
    """The ways of a value that is computed from others, without a loss.

    Args:
      ways: of the operands.

    Returns:
      One way that has all that any of them has, but for maxima: all must be.
    """
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
    """A way behind a place where the derivative is lost.

    Args:
      way: before that place.
      to: what loses it, in words.

    Returns:
      A way without a derivative.
    """
    cut = way.cut or way.choice or (to if way.has_derivative else "")
    return Way(is_credited=way.is_credited, cut=cut)


def chosen(way: Way, by: str) -> Way:
    """A way behind a place where the value only chooses.

    Args:
      way: before that place.
      by: what chooses, in words.

    Returns:
      A way without a derivative.
    """
    choice = way.choice or (by if way.has_derivative else "")
    return way._replace(has_derivative=False, choice=choice)


def credited(way: Way) -> Way:
    """A way behind parameters that an estimator accounts for.

    Args:
      way: of the parameters.

    Returns:
      A way that nothing cuts any more.
    """
    if way.cut or way.choice:
        return Way(is_credited=True, cut=way.cut or way.choice)
    return way if way.is_constant else Way(is_credited=True)


def selected(by: Way, among: Sequence[Way]) -> Way:
    """One of several values, which another one selects.

    Args:
      by: the way of what selects.
      among: the ways of the values.

    Returns:
      The way of the one that is selected.
    """
    way = together(among)
    if by.cut:
        return lost(together([by, way]), "")
    chooses = by.choice and not way.has_derivative
    return way._replace(
        is_credited=way.is_credited or by.is_credited,
        choice=way.choice or (by.choice if chooses else ""),
    )


def after_primitive(eqn: Any, operands: list[Way]) -> list[Way]:
    """The ways of the results of an operation that calls no other program.

    Args:
      eqn: of a jaxpr.
      operands: their ways, not all constant.

    Returns:
      The way of every result.
    """
    name = eqn.primitive.name
    if name in _PLACES:
        places = operands[_PLACES[name]]
        values = list(operands)
        del values[_PLACES[name]]
        return [selected(together(places), values)]
    if name == "select_n":
        # Only numbers matter: what stands where one is NaN has no say.
        among = operands[1:2] if operands[0].is_nan_test else operands[1:]
        way = selected(operands[0], among)
        return [way._replace(is_maximum=together(among).is_maximum)]
    if name == "sort":
        keys = together(operands[: eqn.params["num_keys"]])
        order = chosen(keys, _WORDS[name])
        number = eqn.params["num_keys"]
        rest = [selected(order, [way]) for way in operands[number:]]
        return [*operands[:number], *rest]
    if _tests_for_numbers(eqn):
        # What is masked or not a number stays so, however its parameters move.
        way = together(operands)
        is_nan_test = name == "ne" and eqn.invars[0] is eqn.invars[1]
        way = way._replace(has_derivative=False, is_maximum=False)
        return [way._replace(is_nan_test=is_nan_test)]
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
    is_mixed = way.choice and way.has_derivative and len(operands) > 1
    if not is_mixed or name in _CONTAINERS:
        return way
    if name not in _PRODUCTS:
        return way._replace(cut=way.cut or way.choice, choice="")
    alone = [
        w.choice
        for i, w in enumerate(operands)
        if not any(
            other.has_derivative for other in [*operands[:i], *operands[i + 1 :]]
        )
    ]
    return way._replace(choice=next(filter(None, alone), ""))
