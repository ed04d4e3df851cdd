"""The way in which a distribution takes its key, as far as its signature tells."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

#: How the libraries of distributions call the key.
_KEY_NAMES = ("key", "seed", "rng_key", "rng")


def key_keyword(sample: Callable[..., Any]) -> str | None:
    """The name by which ``sample`` takes a key, or None if it has none of those.

    Args:
      sample: a method that draws.
    """
    try:
        parameters = inspect.signature(sample).parameters
    except (TypeError, ValueError):  # no signature, as for some compiled functions
        return None
    return next((name for name in _KEY_NAMES if name in parameters), None)


def takes_named_key_first(fn: Callable[..., Any]) -> bool:
    """Tells whether the first parameter is called as keys are.

    Args:
      fn: any function; no, if its signature cannot be read.
    """
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return False
    return next(iter(parameters), None) in _KEY_NAMES


def takes_key_first(sample: Callable[..., Any]) -> bool:
    """Tells whether ``sample(key)`` is how a sample is drawn, as far as one can see.

    Args:
      sample: a method that draws; yes, if its signature cannot be read.
    """
    try:
        parameters = inspect.signature(sample).parameters.values()
    except (TypeError, ValueError):
        return True
    by_position = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    first = next((p.name for p in parameters if p.kind in by_position), None)
    if first is None:
        return False
    return first in _KEY_NAMES or key_keyword(sample) is None
