"""The tables of a report, which terminal, HTML and Markdown print alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jaxdiscrete.experiments.output.formatting import (
    MISSING,
    as_given,
    count,
    duration,
    in_order,
    label,
    number,
    setting,
    statistic,
)
from jaxdiscrete.experiments.output.records import Statistic
from jaxdiscrete.experiments.output.tables import Cell, CellKind, Column, Table
from jaxdiscrete.experiments.reproduce.results import (
    ExpectationOutcome,
    Result,
)
from jaxdiscrete.experiments.reproduce.verdicts import (
    Verdict,
    judge_expectation,
    judge_published,
    num_within,
    tally,
)
from jaxdiscrete.experiments.runs.trajectory import METRICS

_KINDS: dict[Verdict, CellKind] = {
    Verdict.HOLDS: "holds",
    Verdict.FAILS: "fails",
    Verdict.NOT_CHECKED: "open",
    Verdict.NOT_MEASURED: "open",
    Verdict.OTHER_LENGTH: "other",
}
_JUDGED = (Verdict.HOLDS, Verdict.FAILS)
_AT_EQUAL_CALLS = "log_variance_times_calls"


def summary(results: Sequence[Result], anchors: Sequence[str]) -> Table:
    """One row per experiment, with a link to its section."""
    columns = [
        Column("Experiment"),
        Column("Paper"),
        Column("Length"),
        Column("Seeds", "number"),
        Column("Claims"),
        Column("Not comparable", "number"),
        Column("Wall time", "number"),
    ]
    rows = [
        [
            Cell(result.experiment, result.title, "link", anchor),
            Cell(result.paper),
            Cell(length(result)),
            Cell(str(len(result.seeds))),
            _claims(result),
            Cell(str(tally([result]).other_length)),
            Cell(duration(result.wall_seconds)),
        ]
        for result, anchor in zip(results, anchors, strict=True)
    ]
    return Table("All experiments", columns, rows)


def published(result: Result) -> Table | None:
    """Published beside measured numbers; None if there is nothing to compare with."""
    columns = [
        Column("Run"),
        Column("Quantity", "sentence"),
        Column("Published", "number"),
        Column("Measured", "number"),
        Column("Verdict"),
        Column("Where", "sentence"),
    ]
    rows = []
    for outcome in result.published:
        verdict = judge_published(outcome)
        is_judged = verdict in _JUDGED and outcome.tolerance is not None
        allowed = f"within {as_given(outcome.tolerance)}" if is_judged else ""
        rows.append(
            [
                Cell(outcome.run),
                Cell(outcome.published_metric, outcome.note or ""),
                Cell(as_given(outcome.value), _at(outcome.step)),
                Cell(
                    statistic(outcome.measured, outcome.metric),
                    _at(outcome.measured_step),
                ),
                Cell(verdict.value, allowed, _KINDS[verdict]),
                Cell(outcome.table or MISSING),
            ]
        )
    title = "The paper's numbers beside those of these runs."
    values = [o.measured for o in result.published if o.measured is not None]
    note = over_seeds(len(result.seeds), values)
    return Table(title, columns, rows, note) if rows else None


def expectations(result: Result) -> Table | None:
    """Expectations beside measurements; None if nothing was expected."""
    columns = [
        Column("Expectation", "sentence"),
        Column("Measured", "sentence"),
        Column("Verdict"),
    ]
    rows = [
        [Cell(e.text), Cell(measured(e)), _verdict(judge_expectation(e))]
        for e in result.expectations
    ]
    title = "What the paper leads one to expect, and what was measured."
    return Table(title, columns, rows) if rows else None


def final_metrics(result: Result) -> Table | None:
    """Every metric of every run at the end of training; None without runs."""
    metrics = in_order(_union(run.final for run in result.runs.values()))
    columns = [Column("Run"), Column("Calls of f", "number")]
    columns += [Column(label(metric), "number") for metric in metrics]
    rows = []
    for name, run in result.runs.items():
        estimator = "" if run.estimator == name else run.estimator
        values = [Cell(statistic(run.final.get(m), m)) for m in metrics]
        rows.append([Cell(name, estimator), Cell(as_given(run.calls_of_f)), *values])
    found = [value for run in result.runs.values() for value in run.final.values()]
    note = over_seeds(len(result.seeds), found)
    return Table("All runs at the end.", columns, rows, note) if rows else None


def per_seed(result: Result) -> Table | None:
    """The values behind the means; None with fewer than two seeds."""
    num_seeds = len(result.seeds)
    columns = [Column("Run"), Column("Metric")]
    columns += [Column(f"Seed {seed}", "number") for seed in result.seeds]
    rows = [
        [Cell(name), Cell(label(m)), *(Cell(number(v, m)) for v in final.values)]
        for name, run in result.runs.items()
        for m, final in run.final.items()
        if len(final.values) == num_seeds > 1
    ]
    return Table("The values behind the means.", columns, rows) if rows else None


def shared_trajectory(result: Result) -> Table | None:
    """Variances at the same parameters; None if they were not measured."""
    shared = result.shared_trajectory
    if shared is None:
        return None
    known = _union(run.metrics for run in shared.runs.values())
    metrics = [m for m in METRICS if m in known]
    columns = [Column("Run"), Column("Calls of f", "number")]
    columns += [Column(f"{label(m)} at equal steps", "number") for m in metrics]
    if _AT_EQUAL_CALLS in known:
        metrics.append(_AT_EQUAL_CALLS)
        columns.append(Column(label(_AT_EQUAL_CALLS), "number"))
    rows = [
        [Cell(name), Cell(as_given(run.calls_of_f))]
        + [Cell(statistic(run.metrics.get(m), m)) for m in metrics]
        for name, run in shared.runs.items()
    ]
    title = (
        "Variance of every estimator at the parameters that "
        f"{shared.driver} trained, {shared.steps:,} steps."
    )
    values = [v for run in shared.runs.values() for v in run.metrics.values()]
    note = (
        "At equal calls of f, the variance counts as many times as the estimator calls "
        f"f. {over_seeds(len(shared.seeds), values)}"
    )
    return Table(title, columns, rows, note)


def samples(result: Result) -> Table | None:
    """Sentences of every run; None if none were written."""
    rows = [
        [Cell(name if i == 0 else ""), Cell(sentence)]
        for name, sentences in result.texts.items()
        for i, sentence in enumerate(sentences)
    ]
    if not rows:
        return None
    columns = [Column("Run"), Column("Sentence", "sentence")]
    return Table("Samples of the first seed, as they came.", columns, rows)


def settings(result: Result) -> list[Table]:
    """The settings of every run: first those that differ between runs."""
    runs = {name: run.settings for name, run in result.runs.items()}
    common: list[list[Cell]] = []
    varying: list[list[Cell]] = []
    for key in _union(runs.values()):
        texts = [setting(run[key]) if key in run else MISSING for run in runs.values()]
        if len(set(texts)) == 1:
            common.append([Cell(key), Cell(texts[0])])
        else:
            varying.append([Cell(key), *map(Cell, texts)])
    tables = []
    if varying:
        columns = [Column("Setting"), *(Column(name) for name in runs)]
        tables.append(Table("Settings that differ between runs", columns, varying))
    if common:
        columns = [Column("Setting"), Column("Value")]
        tables.append(Table("Settings that all runs share", columns, common))
    return tables


def claims(results: Iterable[Result]) -> Table:
    """One row per claim that could be checked, for a terminal."""
    columns = [
        Column("experiment"),
        Column("claim", "sentence"),
        Column("measured", "sentence"),
        Column("holds"),
    ]
    rows = [
        [Cell(result.experiment), _with_number(claim, value), found, _yes(verdict)]
        for result in results
        for claim, value, found, verdict in _checked(result)
    ]
    return Table("Claims", columns, rows)


def paper(results: Iterable[Result]) -> Table:
    """One row per claim that could be checked, for a page about a paper."""
    columns = [
        Column("Experiment"),
        Column("Claim", "sentence"),
        Column("Published", "number"),
        Column("Measured", "sentence"),
        Column("Holds"),
    ]
    rows = [
        [
            Cell(result.experiment, f"{result.steps:,} steps"),
            claim,
            value,
            found,
            _yes(verdict),
        ]
        for result in results
        for claim, value, found, verdict in _checked(result)
    ]
    return Table("", columns, rows)


def sources(result: Result) -> list[str]:
    """The places where published numbers were read, one line each."""
    lines = [f"{o.table or MISSING}: {o.source}" for o in result.published if o.source]
    return list(dict.fromkeys(lines))


def length(result: Result) -> str:
    """The length of the runs, for instance "short: 50,000 of 2,000,000 steps"."""
    if result.steps == result.full_steps:
        return f"{result.steps:,} steps"
    return f"{result.length}: {result.steps:,} of {result.full_steps:,} steps"


def over_seeds(num_seeds: int, values: Iterable[Statistic]) -> str:
    """The meaning of "±", for the note of a table with such values."""
    if num_seeds > 1:
        return f"Mean ± standard error over {count(num_seeds, 'seed')}."
    if any(value.standard_error is not None for value in values):
        return "One seed: ± is the standard error over its samples."
    return "One seed, so there are no standard errors."


def measured(outcome: ExpectationOutcome) -> str:
    """The runs of an expectation, and of a range how many seeds are inside."""
    parts = []
    for name, value in outcome.measured.items():
        text = f"{name} {statistic(value, outcome.metric)}"
        if name in outcome.within and len(value.values) > 1:
            inside = num_within(value, outcome.range)
            text += f" ({inside} of {count(len(value.values), 'seed')} in range)"
        parts.append(text)
    return ", ".join(parts)


def _checked(result: Result) -> list[tuple[Cell, Cell, Cell, Verdict]]:
    """Claim, published number, measurement and verdict of what could be checked."""
    rows = [
        (Cell(e.text), Cell(MISSING), Cell(measured(e)), judge_expectation(e))
        for e in result.expectations
    ]
    for outcome in result.published:
        verdict = judge_published(outcome)
        if verdict in _JUDGED:
            rows.append(
                (
                    Cell(
                        f"{outcome.run}: {outcome.published_metric}",
                        outcome.table or "",
                    ),
                    Cell(as_given(outcome.value)),
                    Cell(statistic(outcome.measured, outcome.metric)),
                    verdict,
                )
            )
    return rows


def _with_number(claim: Cell, value: Cell) -> Cell:
    """A claim without its small print, and the published number if there is one."""
    number_of = "" if value.text == MISSING else f", published {value.text}"
    return Cell(claim.text + number_of)


def _claims(result: Result) -> Cell:
    claims = tally([result])
    if not claims.checked:
        return Cell(MISSING)
    text = f"{claims.holds} of {claims.checked} hold"
    failing = claims.checked - claims.holds
    if not failing:
        return Cell(text)
    verb = "does" if failing == 1 else "do"
    return Cell(text, f"{failing} {verb} not hold", "fails")


def _verdict(verdict: Verdict) -> Cell:
    return Cell(verdict.value, kind=_KINDS[verdict])


def _yes(verdict: Verdict) -> Cell:
    return Cell("yes" if verdict is Verdict.HOLDS else "no", kind=_KINDS[verdict])


def _at(step: int | None) -> str:
    return "" if step is None else f"at {step:,} steps"


def _union(keys: Iterable[Iterable[str]]) -> list[str]:
    """All keys, in the order of their first occurrence."""
    return list(dict.fromkeys(key for some in keys for key in some))
