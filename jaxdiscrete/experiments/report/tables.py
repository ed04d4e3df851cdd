"""The tables of a report, which HTML and Markdown print alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jaxdiscrete.experiments.report.formatting import (
    MISSING,
    as_given,
    count,
    duration,
    estimate,
    is_number,
    label,
    number,
    setting,
)

Result = Mapping[str, Any]


class Cell(NamedTuple):
    """What one entry of a table says.

    Attributes:
      text: the entry.
      detail: in small print below it.
      kind: of a verdict ("holds", "fails", "other", "open") or of a link ("link");
        empty for everything else.
      anchor: of the section that a link leads to.
    """

    text: str
    detail: str = ""
    kind: str = ""
    anchor: str = ""


class Column(NamedTuple):
    """A column's heading, and whether numbers or sentences stand below it."""

    name: str
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of a row names the row."""

    caption: str
    columns: list[Column]
    rows: list[list[Cell]]


HOLDS = Cell("holds", kind="holds")
FAILS = Cell("does not hold", kind="fails")
NOT_CHECKED = Cell("not checked", kind="open")
NOT_MEASURED = Cell("not measured", kind="open")
OTHER_LENGTH = Cell("not comparable: other length", kind="other")


class Tally(NamedTuple):
    """Claims that were checked, and those of them that hold."""

    holds: int
    checked: int
    other_length: int


def judge_published(result: Result, item: Mapping[str, Any]) -> Cell:
    """Whether a published number was met, as far as that can be said.

    A published number without a step is taken to be of the paper's full length, a
    measured one without a step of the end of the run.

    Args:
      result: that the number belongs to.
      item: an entry of its ``published``.

    Returns:
      One of the verdicts above.
    """
    measured = item.get("measured")
    if not measured or not is_number(measured.get("mean")):
        return NOT_MEASURED
    if item.get("holds") is not None:
        return HOLDS if item["holds"] else FAILS
    published_step = _first(item.get("step"), result.get("full_steps"))
    measured_step = _first(item.get("measured_step"), result.get("steps"))
    return NOT_CHECKED if published_step == measured_step else OTHER_LENGTH


def judge_expectation(item: Mapping[str, Any]) -> Cell:
    """Whether an expectation was met.

    Args:
      item: an entry of ``expectations``.

    Returns:
      One of the verdicts above.
    """
    if item.get("holds") is None:
        return NOT_CHECKED
    return HOLDS if item["holds"] else FAILS


def tally(results: Iterable[Result]) -> Tally:
    """Counts claims, which are expectations and comparable published numbers.

    Args:
      results: of which.

    Returns:
      The counts over all of them.
    """
    verdicts = []
    for result in results:
        verdicts += [judge_expectation(e) for e in entries(result, "expectations")]
        verdicts += [judge_published(result, p) for p in entries(result, "published")]
    holds, fails = verdicts.count(HOLDS), verdicts.count(FAILS)
    return Tally(holds, holds + fails, verdicts.count(OTHER_LENGTH))


def entries(result: Result, key: str) -> Any:
    """An entry that may be absent or null.

    Args:
      result: of which.
      key: "runs", "published", "expectations", "notes" and the like.

    Returns:
      The entry, or an empty list.
    """
    return result.get(key) or []


def num_seeds(result: Result) -> int:
    """How many seeds every run had.

    Args:
      result: or its shared trajectory.

    Returns:
      Their number.
    """
    return len(entries(result, "seeds"))


def length(result: Result) -> str:
    """How long the runs were.

    Args:
      result: of which.

    Returns:
      For instance "short: 50,000 of 2,000,000 steps".
    """
    steps, full = as_given(result.get("steps")), as_given(result.get("full_steps"))
    kind = result.get("length") or MISSING
    return (
        f"{kind}: {steps} steps"
        if steps == full
        else f"{kind}: {steps} of {full} steps"
    )


def over_seeds(seeds: int) -> str:
    """What stands behind "±".

    Args:
      seeds: their number.

    Returns:
      The end of a caption.
    """
    if seeds == 1:
        return "One seed, so there are no standard errors."
    return f"Mean ± standard error over {count(seeds, 'seed')}."


def summary(results: list[Result], anchors: list[str]) -> Table:
    """One row an experiment.

    Args:
      results: all of them.
      anchors: of their sections.

    Returns:
      The table at the top.
    """
    rows = []
    for result, anchor in zip(results, anchors, strict=True):
        claims = tally([result])
        failing = claims.checked - claims.holds
        verdict = Cell(
            f"{claims.holds} of {claims.checked} hold" if claims.checked else MISSING,
            f"{failing} {'does' if failing == 1 else 'do'} not hold" if failing else "",
            "fails" if failing else "",
        )
        rows.append(
            [
                Cell(result["experiment"], _text(result, "title"), "link", anchor),
                Cell(_text(result, "paper")),
                Cell(length(result)),
                Cell(str(num_seeds(result))),
                verdict,
                Cell(str(claims.other_length)),
                Cell(duration(result.get("wall_seconds"))),
            ]
        )
    columns = [
        Column("Experiment"),
        Column("Paper"),
        Column("Length"),
        Column("Seeds", "number"),
        Column("Claims"),
        Column("Not comparable", "number"),
        Column("Wall time", "number"),
    ]
    return Table("All experiments", columns, rows)


def published(result: Result) -> Table | None:
    """Published beside measured numbers.

    Args:
      result: of which.

    Returns:
      The table, or None if there is nothing to compare with.
    """
    rows = []
    for item in entries(result, "published"):
        metric = _text(item, "metric")
        tolerance = item.get("tolerance")
        allowed = f"within {as_given(tolerance)}" if is_number(tolerance) else ""
        verdict = judge_published(result, item)
        is_judged = verdict in (HOLDS, FAILS)
        rows.append(
            [
                Cell(_text(item, "run")),
                Cell(
                    item.get("published_metric") or label(metric),
                    item.get("note") or "",
                ),
                Cell(as_given(item.get("value")), _at(item.get("step"))),
                Cell(
                    estimate(item.get("measured"), metric, num_seeds(result)),
                    _at(item.get("measured_step")),
                ),
                verdict._replace(detail=allowed if is_judged else ""),
                Cell(_text(item, "table")),
            ]
        )
    columns = [
        Column("Run"),
        Column("Quantity", "sentence"),
        Column("Published", "number"),
        Column("Measured", "number"),
        Column("Verdict"),
        Column("Where", "sentence"),
    ]
    caption = "The paper's numbers beside those of these runs. "
    caption += over_seeds(num_seeds(result))
    return Table(caption, columns, rows) if rows else None


def sources(result: Result) -> list[str]:
    """Where the published numbers were taken from.

    Args:
      result: of which.

    Returns:
      A line for each place that was read, without repetitions.
    """
    lines = [
        f"{_text(item, 'table')}: {item['source']}"
        for item in entries(result, "published")
        if item.get("source")
    ]
    return list(dict.fromkeys(lines))


def expectations(result: Result) -> Table | None:
    """What the paper leads one to expect, and what was found.

    Args:
      result: of which.

    Returns:
      The table, or None if nothing was expected.
    """
    rows = [
        [Cell(_text(e, "text")), Cell(_text(e, "measured")), judge_expectation(e)]
        for e in entries(result, "expectations")
    ]
    columns = [
        Column("Expectation", "sentence"),
        Column("Measured", "sentence"),
        Column("Verdict"),
    ]
    return (
        Table(
            "What the paper leads one to expect, and what was measured.", columns, rows
        )
        if rows
        else None
    )


def final_metrics(result: Result) -> Table | None:
    """Every metric of every run at the end of training.

    Args:
      result: of which.

    Returns:
      The table, or None if there are no runs.
    """
    runs = dict(entries(result, "runs"))
    metrics = _union(entries(run, "final") for run in runs.values())
    seeds = num_seeds(result)
    rows = []
    for name, run in runs.items():
        estimator = _text(run, "estimator")
        final = dict(entries(run, "final"))
        cells = [Cell(name, "" if estimator == name else estimator), _calls(run)]
        cells += [Cell(estimate(final.get(m), m, seeds)) for m in metrics]
        rows.append(cells)
    columns = [Column("Run"), Column("Calls of f", "number")]
    columns += [Column(label(metric), "number") for metric in metrics]
    caption = f"All runs at the end of training. {over_seeds(seeds)}"
    return Table(caption, columns, rows) if rows else None


def per_seed(result: Result) -> Table | None:
    """The values behind the means.

    Args:
      result: of which.

    Returns:
      The table, or None with fewer than two seeds.
    """
    rows = [
        [Cell(name), Cell(label(metric))]
        + [Cell(number(value, metric)) for value in final["values"]]
        for name, run in dict(entries(result, "runs")).items()
        for metric, final in dict(entries(run, "final")).items()
        if final and len(entries(final, "values")) == num_seeds(result) > 1
    ]
    columns = [Column("Run"), Column("Metric")]
    columns += [Column(f"Seed {seed}", "number") for seed in entries(result, "seeds")]
    return Table("The values behind the means.", columns, rows) if rows else None


def shared_trajectory(result: Result) -> Table | None:
    """Variances at the same parameters.

    Args:
      result: of which.

    Returns:
      The table, or None if it was not measured.
    """
    shared = result.get("shared_trajectory")
    if not shared:
        return None
    known = ("log_variance", "encoder_log_variance", "log_variance_times_calls")
    runs = dict(entries(shared, "runs"))
    metrics = [m for m in known if any(m in run for run in runs.values())]
    seeds = num_seeds(shared)
    rows = []
    for name, run in runs.items():
        values = [Cell(estimate(run.get(m), m, seeds)) for m in metrics]
        rows.append([Cell(name), _calls(run), *values])
    columns = [Column("Run"), Column("Calls of f", "number")]
    columns += [
        Column(
            f"{label(m)} at equal steps" if m in known[:2] else label(m),
            "number",
        )
        for m in metrics
    ]
    caption = (
        "Variance of every estimator at the parameters that "
        f"{_text(shared, 'driver')} trained, {as_given(shared.get('steps'))} steps. "
        "At equal calls of f, the variance counts as many times as the estimator calls "
        f"f. {over_seeds(seeds)}"
    )
    return Table(caption, columns, rows) if rows else None


def settings(result: Result) -> list[Table]:
    """The settings of every run: first those that differ between runs.

    Args:
      result: of which.

    Returns:
      Up to two tables.
    """
    runs = {
        name: dict(entries(run, "settings"))
        for name, run in dict(entries(result, "runs")).items()
    }
    absent = object()
    common: list[list[Cell]] = []
    varying: list[list[Cell]] = []
    for key in _union(runs.values()):
        values = [run.get(key, absent) for run in runs.values()]
        texts = [MISSING if v is absent else setting(v) for v in values]
        is_common = len(set(texts)) == 1
        cells = [Cell(key)] + [Cell(text) for text in texts]
        (common if is_common else varying).append(cells[:2] if is_common else cells)
    tables = []
    if varying:
        columns = [Column("Setting"), *(Column(name) for name in runs)]
        tables.append(Table("Settings that differ between runs", columns, varying))
    if common:
        columns = [Column("Setting"), Column("Value")]
        tables.append(Table("Settings that all runs share", columns, common))
    return tables


def readme(results: list[Result]) -> Table:
    """One row an expectation or comparable published number.

    Args:
      results: all of them.

    Returns:
      The table.
    """
    rows = []
    for result in results:
        steps = f"{as_given(result.get('steps'))} steps"
        first = [Cell(_text(result, "paper")), Cell(result["experiment"], steps)]
        for item in entries(result, "expectations"):
            claim = [Cell(_text(item, "text")), Cell(MISSING)]
            measured = Cell(_text(item, "measured"))
            rows.append([*first, *claim, measured, _yes(judge_expectation(item))])
        for item in entries(result, "published"):
            verdict = judge_published(result, item)
            if verdict not in (HOLDS, FAILS):
                continue
            metric = _text(item, "metric")
            quantity = item.get("published_metric") or label(metric)
            rows.append(
                [
                    *first,
                    Cell(f"{_text(item, 'run')}: {quantity}", item.get("table") or ""),
                    Cell(as_given(item.get("value"))),
                    Cell(estimate(item.get("measured"), metric, num_seeds(result))),
                    _yes(verdict),
                ]
            )
    names = ("Paper", "Experiment", "Claim", "Published", "Measured", "Holds")
    return Table("", [Column(name) for name in names], rows)


def _yes(verdict: Cell) -> Cell:
    return {HOLDS: Cell("yes"), FAILS: Cell("no", kind="fails")}.get(
        verdict, Cell(verdict.text)
    )


def _calls(run: Mapping[str, Any]) -> Cell:
    return Cell(as_given(run.get("calls_of_f")))


def _at(step: Any) -> str:
    return f"at {as_given(step)} steps" if is_number(step) else ""


def _text(item: Mapping[str, Any], key: str) -> str:
    return str(_first(item.get(key), MISSING))


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value


def _union(keys: Iterable[Iterable[str]]) -> list[str]:
    """All keys, in the order of their first occurrence."""
    return list(dict.fromkeys(key for some in keys for key in some))
