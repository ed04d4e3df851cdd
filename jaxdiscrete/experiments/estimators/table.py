"""All estimators by their names."""

from __future__ import annotations

from typing import Any

from jaxdiscrete.experiments.errors import UsageError

# Imported for the names that their classes register.
from jaxdiscrete.experiments.estimators import (
    bounds,
    coupled,
    enumeration,
    gaussian,
    multi_sample,
    pathwise,
    score_function,
    sequences,
)
from jaxdiscrete.experiments.estimators.base import REGISTRY, Estimator

__all__ = [
    "ESTIMATORS",
    "bounds",
    "coupled",
    "enumeration",
    "find_estimator",
    "gaussian",
    "multi_sample",
    "pathwise",
    "score_function",
    "sequences",
]

#: Every estimator that a file can name.
ESTIMATORS: dict[str, type[Estimator]] = dict(sorted(REGISTRY.items()))


def find_estimator(table: dict[str, Any], prefix: str) -> type[Estimator]:
    """The settings that ``[estimator]`` holds.

    Args:
      table: of a file, with the estimator's name if it is not the default one.
      prefix: of the keys' names, for error messages.

    Returns:
      The class of the estimator.

    Raises:
      UsageError: if there is no such estimator, listing those there are.
    """
    name = table.get("name", "reinforce")
    if not isinstance(name, str):
        raise UsageError(
            f"Expected {prefix}name to be a string, got {name!r} of type "
            f"{type(name).__name__}. Correct its value."
        )
    if name not in ESTIMATORS:
        raise UsageError(
            f"Expected {prefix}name among {', '.join(ESTIMATORS)}, got {name!r}. "
            "Choose one of them."
        )
    return ESTIMATORS[name]
