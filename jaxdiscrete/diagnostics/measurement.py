"""The findings of the gradient meter: as numbers, as tables, as a figure."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

_INSTALL = 'Run: pip install "jaxdiscrete[experiments]"'
_MICRO = 1e6
#: Standard errors beyond which a difference is a bias.
_BIASED = 4.5


@dataclasses.dataclass(frozen=True, eq=False)
class Oracle:
    """The gradient that the others are compared with.

    Attributes:
      description: where it comes from; what ``print`` shows.
      is_exact: whether it has no standard error.
      num_gradients: gradients of which it is the mean.
      mean: ``[coordinates]``.
      standard_error: ``[coordinates]``, zero where it is exact.
    """

    description: str
    is_exact: bool
    num_gradients: int
    mean: np.ndarray
    standard_error: np.ndarray

    def __str__(self) -> str:
        return self.description


@dataclasses.dataclass(frozen=True, eq=False)
class EstimatorStatistics:
    """The measurements of one estimator.

    Attributes:
      mean: of the gradient, ``[coordinates]``.
      standard_error: of the mean, ``[coordinates]``.
      variance: of one gradient, ``[coordinates]``.
      total_variance: its sum over coordinates.
      total_variance_error: the standard error of that sum.
      signal_to_noise: ``[coordinates]``, zero where the gradient is always zero.
      directional_signal_to_noise: of the whole gradient.
      seconds: for one gradient, of many in one program.
      bias: mean minus oracle, ``[coordinates]``; None without an oracle.
      bias_error: its standard error, that of the oracle included; None without one.
      z: the bias in standard errors; None without an oracle.
      cosine: of the gradient and the oracle, its mean; None without an oracle.
      calls: of f in one gradient; None without f.
    """

    mean: np.ndarray
    standard_error: np.ndarray
    variance: np.ndarray
    total_variance: float
    total_variance_error: float
    signal_to_noise: np.ndarray
    directional_signal_to_noise: float
    seconds: float
    bias: np.ndarray | None = None
    bias_error: np.ndarray | None = None
    z: np.ndarray | None = None
    cosine: float | None = None
    calls: int | None = None

    @property
    def bias_norm(self) -> float | None:
        """The Euclidean norm of the bias, which noise alone brings to its error."""
        return None if self.bias is None else float(np.linalg.norm(self.bias))

    @property
    def bias_norm_error(self) -> float | None:
        """The root mean square of that norm for an unbiased estimator."""
        if self.bias_error is None:
            return None
        return float(np.linalg.norm(self.bias_error))

    @property
    def max_abs_z(self) -> float | None:
        """The largest z without its sign."""
        return None if self.z is None else float(np.abs(self.z).max())

    @property
    def mean_signal_to_noise(self) -> float:
        """Over the coordinates whose gradient is not always zero."""
        is_alive = (self.mean != 0) | (self.variance > 0)
        return float(self.signal_to_noise[is_alive].mean()) if is_alive.any() else 0.0

    @property
    def variance_times_calls(self) -> float | None:
        """The total variance at equal calls of f; None where they are not known."""
        return None if self.calls is None else self.total_variance * self.calls

    @property
    def variance_times_seconds(self) -> float:
        """The total variance at equal time."""
        return self.total_variance * self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Everything as Python numbers, lists and None, which stands for infinity."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        derived = {name: getattr(self, name) for name in _DERIVED}
        return {name: _plain(value) for name, value in (fields | derived).items()}


_DERIVED = (
    "bias_norm",
    "bias_norm_error",
    "max_abs_z",
    "mean_signal_to_noise",
    "variance_times_calls",
    "variance_times_seconds",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Measurement:
    """The result of :func:`jaxdiscrete.measure`; ``print`` shows it as tables.

    Attributes:
      num_gradients: how many of every estimator.
      coordinates: names of the entries of a gradient, for instance ``q.logits[0]``.
      oracle: what they were compared with; None if there was none.
      estimators: what was measured of each.
    """

    num_gradients: int
    coordinates: tuple[str, ...]
    oracle: Oracle | None
    estimators: dict[str, EstimatorStatistics]

    def to_dict(self) -> dict[str, Any]:
        """Everything as Python numbers, lists, strings and None, ready for JSON."""
        oracle = None
        if self.oracle is not None:
            oracle = {
                f.name: _plain(getattr(self.oracle, f.name))
                for f in dataclasses.fields(self.oracle)
            }
        return {
            "num_gradients": self.num_gradients,
            "coordinates": list(self.coordinates),
            "oracle": oracle,
            "estimators": {n: r.to_dict() for n, r in self.estimators.items()},
        }

    def __str__(self) -> str:
        parts = [self.title, self.caption, *self.notes]
        for columns in _TABLES:
            table = self._rows(columns)
            if not table:
                continue
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            lines = [
                "  ".join(
                    cell.rjust(width) if i else cell.ljust(width)
                    for i, (cell, width) in enumerate(zip(row, widths, strict=True))
                )
                for row in table
            ]
            parts += ["", *(line.rstrip() for line in lines)]
        return "\n".join(parts)

    def __rich__(self) -> Any:
        """The same tables for ``rich.print``."""
        try:
            from rich.console import Group
            from rich.table import Table
        except ImportError:
            raise ImportError(
                f"Expected rich to show a Measurement, got none. {_INSTALL}"
            ) from None
        tables: list[Any] = []
        for columns in _TABLES:
            rows = self._rows(columns)
            if not rows:
                continue
            table = Table(title=None if tables else self.title)
            for i, header in enumerate(rows[0]):
                table.add_column(
                    header, justify="right" if i else "left", no_wrap=not i
                )
            for row in rows[1:]:
                table.add_row(*row)
            tables.append(table)
        return Group(*tables, self.caption, *self.notes)

    def plot(self) -> Any:
        """Draws variance, at equal calls of f where they are known, and bias.

        Returns:
          A ``matplotlib.figure.Figure``; ``.savefig(path)`` writes it.

        Raises:
          ImportError: if matplotlib is missing.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError(
                f"Expected matplotlib to draw a Measurement, got none. {_INSTALL}"
            ) from None
        names = self._ranked()[::-1]
        readings = [self.estimators[name] for name in names]
        has_oracle = self.oracle is not None
        height = 1.3 + 0.36 * len(names)
        figure = Figure(figsize=(9.5 if has_oracle else 6.5, height))
        axes = figure.subplots(1, 2 if has_oracle else 1, squeeze=False, sharey=True)[0]
        _draw_variance(axes[0], readings)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylim(-0.6, len(names) - 0.4)
        if has_oracle:
            _draw_bias(axes[1], readings)
        for ax in axes:
            ax.grid(axis="x", alpha=0.3)
            ax.set_axisbelow(True)
            ax.tick_params(axis="y", length=0)
            ax.spines[["top", "right"]].set_visible(False)
        figure.suptitle(f"{self.title}\n{self.caption}", fontsize=9)
        figure.set_layout_engine("constrained")
        return figure

    @property
    def title(self) -> str:
        """The subject of the measurement, in one line."""
        return (
            f"Gradient of {len(self.coordinates):,} coordinates, "
            f"{self.num_gradients:,} gradients of each estimator"
        )

    @property
    def caption(self) -> str:
        """The oracle of the bias, in one line."""
        if self.oracle is None:
            return "No oracle, so no bias: pass oracle=, or f= where q has few states"
        return f"Oracle: {self.oracle}"

    @property
    def notes(self) -> list[str]:
        """One line for each estimator whose reading cannot be right."""
        return [
            f"{name} is zero for every key, and the oracle is not. A baseline from a "
            "sample that was drawn with the same key does that: split the key."
            for name, reading in self.estimators.items()
            if not reading.mean.any() and (reading.max_abs_z or 0.0) > _BIASED
        ]

    def _ranked(self) -> list[str]:
        """Names, the lowest variance at equal calls first, if all are known."""

        def cost(name: str) -> float:
            reading = self.estimators[name]
            times_calls = reading.variance_times_calls
            return reading.total_variance if times_calls is None else times_calls

        return sorted(self.estimators, key=cost)

    def _rows(self, columns: dict[str, str]) -> list[list[str]]:
        """Header and rows of a table, without the columns that nobody has a value of.

        Empty where none is left.
        """
        ranked = self._ranked()
        cells = {
            header: [getattr(self.estimators[name], field) for name in ranked]
            for header, field in columns.items()
        }
        cells = {h: v for h, v in cells.items() if any(x is not None for x in v)}
        if not cells:
            return []
        rows = [["estimator", *cells]]
        for i, name in enumerate(ranked):
            rows.append([name, *(_show(h, v[i]) for h, v in cells.items())])
        return rows


#: Narrow tables, which fit a terminal: headers and what stands below them.
_TABLES: tuple[dict[str, str], ...] = (
    {
        "|bias|": "bias_norm",
        "s.e.": "bias_norm_error",
        "max |z|": "max_abs_z",
        "cosine": "cosine",
    },
    {
        "variance": "total_variance",
        "s.e.": "total_variance_error",
        "SNR": "mean_signal_to_noise",
        "dir. SNR": "directional_signal_to_noise",
    },
    {
        "calls": "calls",
        "us": "seconds",
        "var x calls": "variance_times_calls",
        "var x us": "variance_times_seconds",
    },
)


def _show(header: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * _MICRO if header.endswith('us') else value:.3g}"


def _plain(value: Any) -> Any:
    """Arrays as lists, numbers of Python; None for what JSON has no number for."""
    if isinstance(value, np.ndarray):
        return [_plain(x) for x in value.tolist()]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _draw_variance(ax: Any, readings: list[EstimatorStatistics]) -> None:
    has_calls = all(r.calls is not None for r in readings)
    factors = [r.calls or 1 for r in readings] if has_calls else [1] * len(readings)
    values = [r.total_variance * c for r, c in zip(readings, factors, strict=True)]
    errors = [
        r.total_variance_error * c for r, c in zip(readings, factors, strict=True)
    ]
    positive = [v for v in values if v > 0]
    low = 0.5 * min(positive, default=1.0)
    ax.set_xscale("log")
    ax.set_xlim(low, 3.0 * max(positive, default=1.0))
    for y, (value, error) in enumerate(zip(values, errors, strict=True)):
        if value > 0:
            ax.errorbar(value, y, xerr=min(error, 0.9 * value), fmt="o", color="C0")
        else:
            ax.annotate(
                "zero", (low, y), (4, 0), textcoords="offset points", va="center"
            )
    what = "variance x calls of f" if has_calls else "variance"
    ax.set_xlabel(f"{what} (± s.e.)")


def _draw_bias(ax: Any, readings: list[EstimatorStatistics]) -> None:
    for y, reading in enumerate(readings):
        ax.barh(y, reading.bias_norm_error, height=0.5, color="0.85")
        ax.plot(reading.bias_norm, y, "o", color="C1", clip_on=False, zorder=3)
    ax.set_xlim(left=0.0)
    ax.set_xlabel("|bias| (grey: what noise alone gives)")
