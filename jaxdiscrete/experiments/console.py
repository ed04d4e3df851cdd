"""What the terminal shows: a progress bar and tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
)
from rich.table import Table

#: Keys of a summary and how a table shows them.
_COLUMNS = {
    "train_elbo": ("train ELBO", ".2f"),
    "test_elbo": ("test ELBO", ".2f"),
    "test_bound": ("IW bound", ".2f"),
    "log_variance": ("log var.", ".2f"),
    "steps_per_second": ("steps/s", ".0f"),
    "seconds": ("time (s)", ".1f"),
}


def training_progress(console: Console) -> Progress:
    """A progress bar over epochs with fields for the metrics.

    Args:
      console: where it is drawn.

    Returns:
      A progress whose tasks have a field ``status``.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        console=console,
    )


def describe(row: dict[str, Any]) -> str:
    """The metrics of a block in one short line.

    Args:
      row: of ``metrics.jsonl``.

    Returns:
      Text for the progress bar.
    """
    return (
        f"train ELBO {row['train_elbo']:.2f}, log var. {row['log_variance']:.2f}, "
        f"{row['steps_per_second']:.0f} steps/s"
    )


def results_table(summaries: list[dict[str, Any]]) -> Table:
    """One row a run, the best test ELBO first.

    Args:
      summaries: as in ``summary.json``.

    Returns:
      A table.
    """
    table = Table(
        title="Results, in nats",
        caption=(
            "IW bound: importance-weighted, on test digits; "
            "log var.: natural log of the encoder's gradient variance"
        ),
    )
    table.add_column("run", no_wrap=True)
    for title, _ in _COLUMNS.values():
        table.add_column(title, justify="right")
    for summary in sorted(summaries, key=lambda s: -s["test_elbo"]):
        cells = [format(summary[key], style) for key, (_, style) in _COLUMNS.items()]
        table.add_row(summary["run"], *cells)
    return table


def study_table(rows: list[dict[str, Any]], critical: float) -> Table:
    """Bias and variance of every estimator at every temperature.

    Args:
      rows: of the study; temperature None where there is none.
      critical: the critical temperature, which is marked.

    Returns:
      A table.
    """
    table = Table(
        title="Gradient of E cos(z) against its exact value",
        caption="* critical temperature; an unbiased estimator shows its s.e. as bias",
    )
    table.add_column("estimator", no_wrap=True)
    for title in ("temp.", "|bias|", "± s.e.", "log var."):
        table.add_column(title, justify="right")
    for row in rows:
        t = row["temperature"]
        mark = "*" if t == critical else " "
        kind = " (unbiased)" if row["is_unbiased"] else ""
        table.add_row(
            row["estimator"] + kind,
            "- " if t is None else f"{t:.3g}{mark}",
            f"{row['bias']:.5f}",
            f"{row['standard_error']:.5f}",
            f"{row['log_variance']:.2f}",
        )
    return table
