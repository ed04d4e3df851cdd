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

from jaxdiscrete.experiments.claims import show

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
    """A progress bar over steps with fields for the metrics.

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
        f"valid. ELBO {row['valid_elbo']:.2f}, log var. {row['log_variance']:.2f}, "
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
            "IW bound: importance-weighted, on test images; "
            "log var.: natural log of the model's gradient variance"
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


def trajectory_table(measured: dict[str, Any]) -> Table:
    """Log variances along one trajectory, the lowest first.

    Args:
      measured: as from ``trajectory.measure``.

    Returns:
      A table.
    """
    table = Table(
        title=f"Log variance along the trajectory of {measured['driver']}, "
        f"step {measured['steps']}",
        caption=f"seeds: {len(measured['seeds'])}; x calls: at equal calls of f",
    )
    table.add_column("run", no_wrap=True)
    titles = ("calls of f", "all parameters", "encoder", "all parameters x calls")
    for title in titles:
        table.add_column(title, justify="right")
    runs = measured["runs"].items()
    for name, row in sorted(runs, key=lambda item: item[1]["log_variance"]["mean"]):
        metrics = ("log_variance", "encoder_log_variance", "log_variance_times_calls")
        cells = [show(row[metric]) for metric in metrics]
        table.add_row(name, str(row["calls_of_f"]), *cells)
    return table


def sweep_table(rows: list[dict[str, Any]]) -> Table:
    """One row a run of a sweep, the best validation ELBO first.

    Args:
      rows: as from ``sweep.run``.

    Returns:
      A table.
    """
    table = Table(title="Runs of the sweep, in nats")
    table.add_column("run", no_wrap=True)
    for title in ("train ELBO", "valid. ELBO", "log var."):
        table.add_column(title, justify="right")
    for row in sorted(rows, key=lambda r: -r["valid_elbo"]):
        cells = [row[k] for k in ("train_elbo", "valid_elbo", "log_variance")]
        table.add_row(row["run"], *(f"{cell:.2f}" for cell in cells))
    return table


def claims_table(results: list[dict[str, Any]]) -> Table:
    """What was claimed of every experiment and whether it holds.

    Args:
      results: as from ``reproduce.run``.

    Returns:
      A table.
    """
    table = Table(title="Claims")
    for title in ("experiment", "claim", "measured", "holds"):
        table.add_column(title)
    for result in results:
        for row in result["expectations"]:
            holds = "yes" if row["holds"] else "NO"
            table.add_row(result["experiment"], row["text"], row["measured"], holds)
        for row in result["published"]:
            if row["holds"] is not None:
                text = (
                    f"{row['run']} {row['metric']} {row['value']:g} "
                    f"± {row['tolerance']:g} at step {row['step']}"
                )
                holds = "yes" if row["holds"] else "NO"
                table.add_row(result["experiment"], text, show(row["measured"]), holds)
    return table
