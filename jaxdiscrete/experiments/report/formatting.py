"""How numbers, names and lengths of time are printed in a report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

#: In place of a number that is missing.
MISSING = "–"  # noqa: RUF001
#: What the name of a metric in nats, or of the logarithm of a variance, contains.
IN_NATS = ("elbo", "bound", "likelihood", "log_variance")
LABELS = {"log_variance_times_calls": "log variance at equal calls of f"}


def is_number(value: Any) -> bool:
    """Whether a value of a result is there and finite.

    Args:
      value: anything.

    Returns:
      True for a finite number; False for None, NaN and infinities.
    """
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def label(metric: str) -> str:
    """A metric's name for people: ``test_elbo`` is "test ELBO".

    Args:
      metric: its name in a result.

    Returns:
      The name.
    """
    if metric.endswith("_se"):
        # The runs' own standard error, over examples and not over seeds.
        return f"s.e. of {label(metric[:-3])} over images"
    words = LABELS.get(metric, metric.replace("_", " ")).split(" ")
    return " ".join("ELBO" if word == "elbo" else word for word in words)


def as_given(value: Any) -> str:
    """A number with the digits that it has, as the paper printed it.

    Args:
      value: a number or None.

    Returns:
      For instance "-4.2" or "50,000".
    """
    if not is_number(value):
        return MISSING
    if value == int(value):
        return f"{int(value):,}"
    return repr(float(value))


def number(value: Any, metric: str) -> str:
    """A measured number: two decimals in nats, four significant digits otherwise.

    Args:
      value: a number or None.
      metric: which metric it is of.

    Returns:
      The number, or an en dash.
    """
    if not is_number(value):
        return MISSING
    if _is_in_nats(metric):
        return _fixed(value, 2)
    if isinstance(value, int) or abs(value) >= 1000:
        return _fixed(value, 0)
    return f"{value:.4g}"


def estimate(value: Mapping[str, Any] | None, metric: str, num_seeds: int) -> str:
    """A mean over seeds with its standard error.

    Args:
      value: ``mean`` and ``se``, or None.
      metric: which metric it is of.
      num_seeds: of how many runs; one has no standard error.

    Returns:
      For instance "-4.31 ± 0.02"; without "±" where there is no standard error.
    """
    mean = (value or {}).get("mean")
    error = (value or {}).get("se") if num_seeds > 1 else None
    if mean is None or error is None or not is_number(mean) or not is_number(error):
        return number(mean, metric)
    if error <= 0:
        return f"{number(mean, metric)} ± 0"
    # The decimals that show the error's first digit, or its first two.
    leading = -math.floor(math.log10(error))
    if _is_in_nats(metric):
        return f"{number(mean, metric)} ± {_fixed(error, min(max(2, leading), 6))}"
    decimals = max(leading + 1, 0)
    if decimals > 6:
        return f"{mean:.3g} ± {error:.2g}"
    return f"{_fixed(mean, decimals)} ± {_fixed(error, decimals)}"


def setting(value: Any) -> str:
    """A value of a configuration.

    Args:
      value: anything that JSON can hold.

    Returns:
      Strings as they are, the rest as JSON; "none" for None.
    """
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def duration(seconds: Any) -> str:
    """A length of time in its two largest units.

    Args:
      seconds: how long, or None.

    Returns:
      For instance "13 min 32 s".
    """
    if not is_number(seconds):
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def count(how_many: int, noun: str, plural: str | None = None) -> str:
    """A number of things.

    Args:
      how_many: of them.
      noun: one of them.
      plural: several of them; with an "s" where not given.

    Returns:
      For instance "1 seed" or "3 seeds".
    """
    return f"{how_many:,} {noun if how_many == 1 else plural or noun + 's'}"


def _is_in_nats(metric: str) -> bool:
    return any(word in metric for word in IN_NATS)


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    is_zero = not text.strip("-0.,")
    return text.removeprefix("-") if is_zero else text
