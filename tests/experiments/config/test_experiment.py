"""Experiments of files: grids of estimators, and changes that reach all runs."""

import dataclasses

import pytest

from jaxdiscrete.experiments.config.load import load_experiment, load_runs
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.pathwise import GumbelSoftmax
from jaxdiscrete.experiments.settings.fields import constant
from tests.experiments.config.files import GRID, RUNS, SEARCH


def test_a_grid_of_sizes_has_a_run_per_estimator(write):
    experiment = load_experiment(write(SEARCH))
    assert experiment.names == ["plain"]
    assert experiment.grid.description == "4 to 16 Bernoulli variables"

    def shrunk(file):
        return dataclasses.replace(
            file, grid=dataclasses.replace(file.grid, sizes=(1, 2))
        )

    with pytest.raises(UsageError, match=r"offset_size among .*\[1, 2\], got 4"):
        experiment.changed(shrunk)


def test_a_grid_has_every_estimator_at_every_temperature(write):
    """The critical temperature of three classes, 1 / 2, is one of them."""
    path = write(GRID)
    experiment = load_experiment(path)
    assert experiment.runs == {}
    assert experiment.names == [
        *("plain", "relaxed_0.5", "relaxed_2", "rebar_0.5", "rebar_2")
    ]
    runs = experiment.grid.runs
    assert runs["relaxed_2"] == GumbelSoftmax(temperature=constant(2.0))
    assert runs["rebar_2"].temperature == 2.0
    assert experiment.grid.description == "one variable of 3 classes"
    with pytest.raises(UsageError, match=r"grid of estimators\. Run: .* reproduce"):
        load_runs(path)


def test_changes_of_an_experiment_reach_its_runs_and_its_grid(write):
    experiment = load_experiment(write(RUNS)).at_length(short=True)
    assert {c.num_steps for c in experiment.runs.values()} == {500}
    seeded = experiment.changed(lambda c: dataclasses.replace(c, seed=4))
    assert {c.seed for c in seeded.runs.values()} == {4}
    with pytest.raises(UsageError, match="seed >= 0, got -1"):
        experiment.changed(lambda c: dataclasses.replace(c, seed=-1))

    def hotter(file):
        grid = dataclasses.replace(file.grid, temperatures=(3.0,))
        return dataclasses.replace(file, grid=grid)

    names = load_experiment(write(GRID)).changed(hotter).names
    assert names[:3] == ["plain", "relaxed_0.5", "relaxed_3"]


def test_some_runs_have_the_claims_that_are_about_them(write):
    experiment = load_experiment(write(RUNS))
    first, second = experiment.runs
    some = experiment.restricted((second,))
    assert list(some.runs) == [second]
    assert some.short.runs == (second,)
    assert all(p.run == second for p in some.claim.published)
    assert all(set(e.runs) == {second} for e in some.claim.expectations)
    assert experiment.restricted(()) == experiment
    with pytest.raises(UsageError, match=rf"--only .*{first}, {second}, got 'third'"):
        experiment.restricted(("third",))
    with pytest.raises(UsageError, match=r"--only .*none, but a grid, got 'plain'"):
        load_experiment(write(GRID)).restricted(("plain",))
