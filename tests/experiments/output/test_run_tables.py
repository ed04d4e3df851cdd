"""Tables of runs, sweeps and trajectories: their order, and what they show."""

import io

from rich.console import Console

from jaxdiscrete.experiments.output.progress import describe
from jaxdiscrete.experiments.output.records import (
    FollowedEstimator,
    RunSummary,
    SharedTrajectory,
    SweepRun,
    summarise,
)
from jaxdiscrete.experiments.output.run_tables import (
    results_table,
    sweep_table,
    trajectory_table,
)
from jaxdiscrete.experiments.output.tables import to_rich

MODEL = {
    "train_elbo": -20.0,
    "test_elbo": -21.0,
    "test_elbo_se": 0.1,
    "test_bound": -20.5,
    "log_variance": -4.321,
    "steps_per_second": 1234.5,
}


def summary(name, **changes):
    return RunSummary(name, "rebar", "Digits", 10, 12.34, MODEL | changes)


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def headings(table):
    return [column.name for column in table.columns]


def test_results_are_ranked_by_the_test_bound():
    table = results_table([summary("worse", test_elbo=-22.0), summary("better")])
    assert headings(table) == [
        "run",
        "train ELBO",
        "test ELBO",
        "test IW bound",
        "log var.",
        "steps/s",
        "time (s)",
    ]
    assert texts(table)[0] == [
        "better", "-20.00", "-21.00", "-20.50", "-4.32", "1,234", "12.3",
    ]  # fmt: skip
    assert texts(table)[1][0] == "worse"
    screen = Console(width=80, file=io.StringIO(), record=True)
    screen.print(to_rich(table))
    text = screen.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "-20.50" in text


def test_toys_are_ranked_by_their_loss():
    toys = [
        RunSummary(name, "relax", "", 10, 1.0, {"loss": loss, "steps_per_second": 1.0})
        for name, loss in (("worse", 0.25), ("better", 0.24))
    ]
    table = results_table(toys)
    assert headings(table) == ["run", "loss", "steps/s", "time (s)"]
    assert [row[0] for row in texts(table)] == ["better", "worse"]
    assert "nats" not in table.note


def test_a_sweep_is_ranked_by_the_validation_bound():
    metrics = [{"train_elbo": -1.0, "valid_elbo": v, "loss": 3.0} for v in (-3.0, -2.0)]
    runs = [SweepRun(f"seed={i}", i, {}, 5, 0.1, m) for i, m in enumerate(metrics)]
    table = sweep_table(runs)
    assert headings(table) == ["run", "train ELBO", "valid. ELBO"]
    assert texts(table) == [["seed=1", "-1.00", "-2.00"], ["seed=0", "-1.00", "-3.00"]]


def test_a_trajectory_is_ranked_by_variance():
    def followed(variance, calls):
        metrics = {"log_variance": variance, "log_variance_times_calls": variance}
        return FollowedEstimator(calls, {m: summarise(v) for m, v in metrics.items()})

    measured = SharedTrajectory(
        "nvil",
        2000,
        (0, 1),
        {"nvil": followed([-2.0, -3.0], 1), "rebar": followed([-4.0, -4.2], 2)},
        (),
        {},
    )
    table = trajectory_table(measured)
    assert texts(table) == [
        ["rebar", "2", "-4.10 ± 0.10", "\N{EN DASH}", "-4.10 ± 0.10"],
        ["nvil", "1", "-2.50 ± 0.50", "\N{EN DASH}", "-2.50 ± 0.50"],
    ]
    assert table.title == "Log variance along the trajectory of nvil, step 2,000"
    assert "Seeds: 2" in table.note


def test_the_progress_bar_says_what_there_is():
    row = {"valid_elbo": -20.123, "log_variance": -4.0, "steps_per_second": 321.4}
    assert describe(row) == "valid. ELBO -20.12, log var. -4.00, steps/s 321.4"
    assert describe({"theta": 0.5, "steps_per_second": 3.0}) == "theta 0.5, steps/s 3"
