"""Tables of what runs, sweeps and shared trajectories measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jaxdiscrete.experiments.output.formatting import (
    MISSING,
    find_metric,
    number,
    short_label,
    statistic,
)
from jaxdiscrete.experiments.output.records import (
    RunSummary,
    SharedTrajectory,
    SweepRun,
)
from jaxdiscrete.experiments.output.tables import Cell, Column, Table

#: What a row of a terminal's width shows, as far as the runs have it.
_FINAL = (
    "train_elbo",
    "test_elbo",
    "test_bound",
    "episodes",
    "reward",
    "loss",
    "objective",
    "test_objective",
    "test_share",
    "test_accuracy",
    "excess",
    "median_rank",
    "theta",
    "log_variance",
)
_SPEED = ("steps_per_second", "seconds")
_LAST_BLOCK = (
    "train_elbo",
    "valid_elbo",
    "reward",
    "loss",
    "hard_objective",
    "share",
    "excess",
    "theta",
    "log_variance",
)
#: What tells the best run, and whether more of it is better.
_RANKS = (
    ("test_elbo", -1.0),
    ("valid_elbo", -1.0),
    ("test_objective", -1.0),
    ("hard_objective", -1.0),
    ("excess", 1.0),
    ("loss", 1.0),
)
_FOLLOWED = ("log_variance", "encoder_log_variance", "log_variance_times_calls")


def results_table(summaries: Sequence[RunSummary]) -> Table:
    """One row per run, the best first, by :func:`rank`."""
    shown = _present(_FINAL, [s.metrics for s in summaries])
    columns = [Column("run"), *(_heading(m) for m in (*shown, *_SPEED))]
    ranked = sorted(summaries, key=lambda s: rank(s.metrics))
    rows = [
        [Cell(s.run), *_cells(s.metrics | {"seconds": s.seconds}, (*shown, *_SPEED))]
        for s in ranked
    ]
    return Table("Results", columns, rows, _note(shown))


def sweep_table(runs: Sequence[SweepRun]) -> Table:
    """One row per run, the best first, by :func:`rank`."""
    shown = _present(_LAST_BLOCK, [r.metrics for r in runs])
    columns = [Column("run"), *(_heading(m) for m in shown)]
    ranked = sorted(runs, key=lambda r: rank(r.metrics))
    rows = [[Cell(r.run), *_cells(r.metrics, shown)] for r in ranked]
    return Table("Runs of the sweep", columns, rows, _note(shown))


def trajectory_table(measured: SharedTrajectory) -> Table:
    """Log variances along one trajectory, the lowest first."""
    columns = [
        Column("run"),
        Column("calls of f", "number"),
        Column("all parameters", "number"),
        Column("encoder", "number"),
        Column("all x calls", "number"),
    ]
    ranked = sorted(
        measured.runs.items(), key=lambda item: item[1].metrics["log_variance"].mean
    )
    rows = [
        [Cell(name), Cell(str(run.calls_of_f))]
        + [Cell(statistic(run.metrics.get(m), m)) for m in _FOLLOWED]
        for name, run in ranked
    ]
    return Table(
        f"Log variance along the trajectory of {measured.driver}, "
        f"step {measured.steps:,}",
        columns,
        rows,
        f"Seeds: {len(measured.seeds)}. Last column: at equal calls of f.",
    )


def _present(names: Sequence[str], rows: Sequence[dict[str, float]]) -> list[str]:
    """Those metrics that any of the rows has."""
    known: Iterable[str] = {name for row in rows for name in row}
    # A bound is the negative loss, averaged over more samples; a reward is it too.
    has_better = not {"train_elbo", "reward"}.isdisjoint(known)
    return [n for n in names if n in known and not (has_better and n == "loss")]


def _heading(metric: str) -> Column:
    return Column(short_label(metric), "number")


def _cells(metrics: dict[str, float], names: Iterable[str]) -> list[Cell]:
    return [Cell(number(metrics[n], n) if n in metrics else MISSING) for n in names]


def rank(metrics: dict[str, float]) -> float:
    """What orders runs, the best first: the lower, the better.

    Args:
      metrics: of a run.

    Returns:
      The negative bound or objective of held-out data; else the excess of the
      cross-entropy; else the loss.
    """
    for metric, sign in _RANKS:
        if metric in metrics:
            return sign * metrics[metric]
    return 0.0


def _note(shown: Sequence[str]) -> str:
    notes = []
    if any("elbo" in m for m in shown):
        notes.append("ELBO and IW (importance-weighted) bound in nats.")
    elif any(find_metric(m).unit == "nats" for m in shown):
        notes.append("Objectives and cross-entropies in nats.")
    if "log_variance" in shown:
        notes.append("Log var.: natural log of the model's gradient variance.")
    return " ".join(notes)
