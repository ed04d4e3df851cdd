"""The facts to know of every estimator before choosing one, in one table."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from jaxdiscrete.core.needs import SAMPLER, Needs


class Size(NamedTuple):
    """The quantities on which the number of calls of f depends.

    Attributes:
      num_samples: as the estimator is given it.
      num_variables: of q.
      num_classes: of each variable.
    """

    num_samples: int = 1
    num_variables: int = 1
    num_classes: int = 2


class Calls(NamedTuple):
    """The number of runs of f for one gradient.

    Attributes:
      formula: for the documentation.
      count: the number.
    """

    formula: str
    count: Callable[[Size], int]


ONE = Calls("1", lambda size: 1)
TWO = Calls("2", lambda size: 2)
EVERY_SAMPLE = Calls("K", lambda size: size.num_samples)
NEIGHBOURS = Calls(
    "1 + n (C - 1)", lambda size: 1 + size.num_variables * (size.num_classes - 1)
)
SWAPS = Calls(
    "C (C - 1) / 2 + 1",
    lambda size: size.num_classes * (size.num_classes - 1) // 2 + 1,
)
EVERY_STATE = Calls(
    "every state", lambda size: int(size.num_classes**size.num_variables)
)


@dataclasses.dataclass(frozen=True)
class Facts:
    """The properties of an estimator, whatever f is.

    Attributes:
      name: as it is called in ``jaxdiscrete`` (``bounds.vimco`` is in a namespace).
      family: the package that holds its mechanism.
      is_unbiased: whether its gradient is, for every f.
      calls: how often f runs: K samples, n variables of C classes.
      differentiates: whether f must be differentiable in z.
      is_relaxed: whether f sees values between the hard ones.
      needs: what it needs of the distributions in q.
      reference: who proposed it, and when.
    """

    name: str
    family: str
    is_unbiased: bool
    calls: Calls
    differentiates: bool
    is_relaxed: bool
    needs: Needs
    reference: str


_table: dict[str, Facts] = {}
#: Facts by the public name of the estimator.
ESTIMATORS: Mapping[str, Facts] = types.MappingProxyType(_table)

_Transform = TypeVar("_Transform", bound=Callable[..., object])


def facts(
    *,
    reference: str,
    calls: Calls = ONE,
    needs: Needs = SAMPLER,
    is_unbiased: bool = True,
    differentiates: bool = False,
    is_relaxed: bool = False,
    namespace: str = "",
) -> Callable[[_Transform], _Transform]:
    """Enters a transform into :data:`ESTIMATORS`; it is returned as it is."""

    def enter(transform: _Transform) -> _Transform:
        name = namespace + transform.__name__
        _table[name] = Facts(
            name=name,
            family=namespace.rstrip(".") or transform.__module__.split(".")[1],
            is_unbiased=is_unbiased,
            calls=calls,
            differentiates=differentiates,
            is_relaxed=is_relaxed,
            needs=needs,
            reference=reference,
        )
        return transform

    return enter
