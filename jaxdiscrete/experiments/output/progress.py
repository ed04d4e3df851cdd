"""The progress bar of a training run."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
)

from jaxdiscrete.experiments.output.formatting import number, short_label

#: What the bar shows of a block, as far as the run has it.
_SHOWN = ("valid_elbo", "theta", "hard_objective", "excess", "log_variance")


def training_progress(screen: Console) -> Progress:
    """A bar over steps, whose tasks have a field ``status`` for the metrics."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        console=screen,
    )


def describe(row: Mapping[str, float]) -> str:
    """The metrics of a block in one short line."""
    shown = [m for m in (*_SHOWN, "steps_per_second") if m in row]
    return ", ".join(f"{short_label(m)} {number(row[m], m)}" for m in shown)
