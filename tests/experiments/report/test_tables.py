"""The tables of a report where a page of one result does not show the difference."""

import dataclasses
import io

import pytest
from rich.console import Console

from jaxdiscrete.experiments.output.records import Statistic, summarise
from jaxdiscrete.experiments.output.tables import to_rich
from jaxdiscrete.experiments.report import tables
from tests.experiments.report.examples import RESULT, TOY


def test_claims_in_a_terminal():
    table = tables.claims([RESULT, TOY])
    assert [[cell.text for cell in row][3] for row in table.rows] == [
        "yes", "no", "yes", "no", "yes",
    ]  # fmt: skip
    assert table.rows[2][1].text == (
        "rebar: log variance of the gradient, published -4.2"
    )
    screen = Console(width=80, file=io.StringIO(), record=True)
    screen.print(to_rich(table))
    assert max(map(len, screen.export_text().splitlines())) <= 80


def test_an_empty_result_has_no_tables():
    empty = dataclasses.replace(
        TOY, runs={}, published=(), expectations=(), shared_trajectory=None
    )
    for make in (
        tables.published,
        tables.expectations,
        tables.final_metrics,
        tables.per_seed,
        tables.shared_trajectory,
    ):
        assert make(empty) is None
    assert tables.settings(empty) == []


def test_values_of_each_seed():
    table = tables.per_seed(RESULT)
    assert [column.name for column in table.columns[2:]] == [
        "Seed 0",
        "Seed 1",
        "Seed 2",
    ]
    assert {row[1].text for row in table.rows} == {"test IW bound", "steps per second"}
    assert tables.per_seed(TOY) is None


@pytest.mark.parametrize(
    ("seeds", "values", "expected"),
    [
        (3, [summarise([1.0, 2.0, 3.0])], "Mean ± standard error over 3 seeds."),
        (1, [summarise([1.0])], "One seed, so there are no standard errors."),
        # The gradient of a grid of estimators is a mean over many samples.
        (
            1,
            [Statistic(1.0, 0.1, (1.0,))],
            "One seed: ± is the standard error over its samples.",
        ),
    ],
)
def test_what_stands_behind_a_standard_error(seeds, values, expected):
    assert tables.over_seeds(seeds, values) == expected


def test_settings_that_differ_come_first():
    varying, common = tables.settings(RESULT)
    assert [row[0].text for row in varying.rows] == ["temperature"]
    assert [row[0].text for row in common.rows] == ["optimizer.learning_rate"]
    assert common.rows[0][1].text == "0.0003"
