"""Results as files: written, found again, kept; and those of this repository."""

import dataclasses
import json
from pathlib import Path

import pytest

from jaxdiscrete.experiments.config.experiment import START
from jaxdiscrete.experiments.config.load import load_experiment
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.formatting import METRICS
from jaxdiscrete.experiments.output.records import Band, Curves, Statistic
from jaxdiscrete.experiments.reproduce import results
from jaxdiscrete.experiments.reproduce.results import Result
from jaxdiscrete.experiments.reproduce.verdicts import (
    allowed_outliers,
    num_within,
)
from tests.experiments.report.examples import RESULT

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "configs"
KEPT = sorted((CONFIGS / "results").rglob("*.json"))
SETTINGS = {"length": "full", "sizes": (1, 2)}


def test_a_result_is_found_with_its_settings_only(tmp_path):
    assert results.find_result(tmp_path, SETTINGS) is None
    results.write_result(tmp_path, SETTINGS, TINY)
    assert results.find_result(tmp_path, SETTINGS) == TINY
    assert results.find_result(tmp_path, SETTINGS | {"length": "short"}) is None


def test_a_damaged_result_is_named(tmp_path):
    results.write_result(tmp_path, SETTINGS, TINY)
    path = tmp_path / results.RESULT_FILE
    for text in (path.read_text()[:100], "[]", '{"settings": {}, "result": 1}'):
        path.write_text(text)
        with pytest.raises(UsageError, match="Delete it: runs that are done are not"):
            results.find_result(tmp_path, SETTINGS)


RUN = dataclasses.replace(
    RESULT.runs["rebar"],
    settings={"optimizer.learning_rate": 0.123456789},
    final={"loss": Statistic(123.456789, None, (123.456789,))},
    curves=Curves(tuple(range(100)), {"loss": Band((1 / 3,) * 100, None)}),
)
SHARED = dataclasses.replace(
    RESULT.shared_trajectory,
    runs={},
    curve_steps=(1, 2),
    log_variance={"a": (0.123456789, 2.0)},
)
TINY = dataclasses.replace(
    RESULT,
    runs={"a": RUN},
    shared_trajectory=SHARED,
    images={"samples": "/tmp/samples.png"},
)


def test_summaries_thin_long_curves_and_round(tmp_path):
    results.write_summary(tmp_path, TINY)
    (kept,) = results.read_summaries(tmp_path)
    run = kept.runs["a"]
    assert run.curves.steps == tuple(range(0, 100, 4))
    assert run.curves.metrics["loss"].mean == (0.33333,) * 25
    assert run.final["loss"] == Statistic(123.46, None, (123.46,))
    assert kept.shared_trajectory.curve_steps == (1, 2)
    assert kept.shared_trajectory.log_variance == {"a": (0.12346, 2.0)}
    assert kept.images == {}
    # Settings are kept as they are, and so is what was published.
    assert run.settings == {"optimizer.learning_rate": 0.123456789}
    assert kept.published == TINY.published
    assert kept.expectations == TINY.expectations


def test_a_summary_of_something_else_is_named(tmp_path):
    (tmp_path / "x.json").write_text('{"experiment": "rebar/toy"}')
    with pytest.raises(UsageError, match=r"in .*x\.json, got: no 'paper' at \$"):
        results.read_summaries(tmp_path)


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_a_kept_result_says_how_it_was_made(path):
    result = codec.read(path, Result)
    name = f"{result.experiment}-{result.length}.json"
    assert path.relative_to(CONFIGS / "results").as_posix() == name
    assert result.versions.keys() >= {"python", "jax", "jaxlib", "jaxdiscrete"}
    assert result.device
    assert result.seeds
    assert result.steps > 0
    config = load_experiment(CONFIGS / f"{result.experiment}.toml")
    if config.grid is None:
        assert result.runs.keys() <= config.runs.keys() | {START}
    # Orders and ranges are of the short length.
    expectations = config.claim.expectations if result.length == "short" else ()
    texts = [e.text for e in expectations]
    assert [e.text for e in result.expectations] == texts
    assert len(path.read_bytes()) < 200_000


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_the_metrics_of_a_kept_result_are_declared(path):
    result = codec.read(path, Result)
    for run in result.runs.values():
        names = run.final.keys() | run.curves.metrics.keys()
        # Behind @ stands a temperature.
        assert METRICS.keys() >= {name.partition("@")[0] for name in names}


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_ranges_of_a_kept_result_hold_by_the_rule_of_outliers(path):
    for outcome in codec.read(path, Result).expectations:
        for name in outcome.within:
            values = outcome.measured[name]
            outside = len(values.values) - num_within(values, outcome.range)
            # Orders of the same expectation may fail where the range holds.
            assert outside <= allowed_outliers(len(values.values)) or not outcome.holds


def test_published_numbers_of_a_folder_without_any(tmp_path):
    for text in (None, "{", json.dumps({"a": {"value": 1}})):
        if text is not None:
            (tmp_path / "published.json").write_text(text)
        with pytest.raises(UsageError, match=r"Expected published numbers in .*--conf"):
            results.load_published(tmp_path)
