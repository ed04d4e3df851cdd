"""From files with claims to results, which are computed once."""

import dataclasses
import shutil

import pytest
from rich.console import Console

from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.config.claims import Expectation
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.records import (
    FollowedEstimator,
    RunSummary,
    SharedTrajectory,
    summarise,
)
from jaxdiscrete.experiments.reproduce import run as reproduce
from jaxdiscrete.experiments.reproduce.results import Result, StoredResult
from jaxdiscrete.experiments.runs import together as together_runs
from jaxdiscrete.experiments.runs import train as training_runs
from jaxdiscrete.experiments.runs import trajectory
from tests.experiments.reproduce.files import FILE, TOY, command, write_configs

SILENT = Console(quiet=True)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A reproduction by the command line, with everything that it wrote."""
    folder = tmp_path_factory.mktemp("reproduce")
    write_configs(folder / "configs")
    assert main(command(folder)) == 0
    return folder


@pytest.fixture
def copy(first, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(first, tmp_path / "copy")


@pytest.fixture
def no_training(monkeypatch):
    """Any training fails the test."""

    def fail(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(training_runs, "train", fail)
    monkeypatch.setattr(trajectory, "measure", fail)


@pytest.fixture
def trained(monkeypatch):
    """The names of the runs that are trained, and whether each was resumed."""
    names, train = [], training_runs.train

    def record(config, folder, screen, *, resume=False, **options):
        names.append((folder.name, resume))
        return train(config, folder, screen, resume=resume, **options)

    monkeypatch.setattr(training_runs, "train", record)
    return names


def again(folder):
    """The result of another call."""
    configs = folder / "configs"
    path = configs / "paper" / "tiny.toml"
    return reproduce.run(path, folder / "out", configs, SILENT, short=True)


def stored(folder):
    path = folder / "out" / "paper" / "tiny" / "short" / "result.json"
    return codec.read(path, StoredResult).result


def test_seeds_that_are_trained_together_are_found_again(tmp_path, monkeypatch):
    together = "num_seeds = 2\nseeds_together = true"
    path = write_configs(tmp_path, TOY.replace("num_seeds = 2", together))

    def run():
        return reproduce.run(path, tmp_path / "out", tmp_path, SILENT, short=True)

    def fail(*args, **options):
        raise AssertionError("trained alone, or again")

    monkeypatch.setattr(training_runs, "train", fail)
    result = run()
    assert len(result.runs["exact"].final["theta"].values) == 2
    assert result.expectations[0].holds
    place = tmp_path / "out" / "paper" / "tiny" / "short"
    (place / "result.json").unlink()
    monkeypatch.setattr(together_runs, "train_together", fail)
    assert run().runs == result.runs
    # With one that is not there all seeds of the run are trained, in the same program.
    (place / "result.json").unlink()
    shutil.rmtree(place / "exact-seed1")
    monkeypatch.undo()
    train_together, trained = together_runs.train_together, []

    def record(task, points, screen):
        trained.append((task.config.estimator.name, [p.seed for p in points]))
        return train_together(task, points, screen)

    monkeypatch.setattr(together_runs, "train_together", record)
    assert run().runs["exact"].final == result.runs["exact"].final
    assert trained == [("exact", [0, 1])]


def test_an_order_along_a_trajectory_holds_from_a_step_on():
    def curve(*values):
        return {"log_variance": summarise([values[-1]])}, values

    one, other = curve(0.0, 5.0, 1.0), curve(2.0, 6.5, 3.0)
    shared = SharedTrajectory(
        driver="one",
        steps=30,
        seeds=(0,),
        runs={
            "one": FollowedEstimator(1, one[0]),
            "other": FollowedEstimator(1, other[0]),
        },
        curve_steps=(10, 20, 30),
        log_variance={"one": one[1], "other": other[1]},
    )

    def outcome(from_step, margin=1.8):
        expectation = Expectation(
            "text",
            "log_variance",
            ("one",),
            ("other",),
            margin,
            trajectory=True,
            from_step=from_step,
        )
        return reproduce.along(shared, expectation)

    assert outcome(0).holds
    assert outcome(30).holds
    failed = outcome(11)
    assert not failed.holds
    # What is shown is where it fails.
    assert failed.measured["one"].mean == 5.0
    assert outcome(1, margin=1.0).holds
    assert outcome(1, margin=1.0).measured["one"].mean == 1.0


def test_results_stand_beside_the_claim(first):
    result = stored(first)
    assert result.experiment == "paper/tiny"
    assert result.command == "jaxdiscrete reproduce paper/tiny --short"
    assert result.length == "short"
    assert (result.steps, result.full_steps) == (4, 8)
    assert result.seeds == (0, 1)
    assert result.notes == ("Shorter.",)
    assert set(result.runs) == {"plain"}
    run = result.runs["plain"]
    assert len(run.final["test_elbo"].values) == 2
    assert run.final["test_elbo"].standard_error > 0
    assert run.curves.steps == (2, 4)
    assert len(run.curves.metrics["valid_elbo"].mean) == 2
    assert run.settings["training.num_steps"] == 4
    for i in (0, 1):
        folder = first / "out" / "paper" / "tiny" / "short" / f"plain-seed{i}"
        summary = codec.read(folder / "summary.json", RunSummary)
        assert run.final["test_elbo"].values[i] == summary.metrics["test_elbo"]
    by_step, by_length = result.published
    assert by_step.value == -40.0
    assert by_step.holds is True
    assert by_step.measured == run.final["test_elbo"]
    assert by_length.step == 8
    assert by_length.holds is None
    order, inside = result.expectations
    shared = result.shared_trajectory.runs
    assert set(shared) == {"plain", "even"}
    plain, even = (shared[name].metrics["log_variance"] for name in ("plain", "even"))
    assert order.holds is (plain.mean - even.mean > 0)
    assert inside.holds is False
    assert set(result.versions) >= {"python", "jax", "numpy", "jaxdiscrete"}
    assert result.wall_seconds > 0
    assert result.cpu_seconds > 0


def test_reports_and_summaries_are_written(first):
    assert "Two estimators" in (first / "out" / "report.html").read_text()
    assert "Two estimators" in (first / "out" / "report.md").read_text()
    path = first / "summaries" / "paper" / "tiny-short.json"
    kept, result = codec.read(path, Result), stored(first)
    mean = result.runs["plain"].final["test_elbo"].mean
    assert kept.runs["plain"].final["test_elbo"].mean == float(f"{mean:.5g}")
    assert kept.published == result.published
    assert [e.holds for e in kept.expectations] == [
        e.holds for e in result.expectations
    ]


def test_a_second_call_trains_nothing(copy, no_training, capsys):
    assert again(copy) == stored(copy)
    assert main(command(copy)) == 0
    assert "paper/tiny: nothing to do" in capsys.readouterr().out


def test_results_are_put_together_again_from_what_is_there(copy, no_training):
    before = stored(copy)
    (copy / "out" / "paper" / "tiny" / "short" / "result.json").unlink()
    after = again(copy)
    assert after.wall_seconds > 0
    assert before.cpu_seconds > 0
    # Whoever reads what others measured does not know what they spent.
    assert after.cpu_seconds is None
    # The paths of images are those of the copy.
    known = ("wall_seconds", "cpu_seconds", "images")
    same = {name: getattr(before, name) for name in known}
    assert dataclasses.replace(after, **same) == before


def test_one_run_is_compared_with_what_is_claimed_of_it(copy, no_training):
    whole = stored(copy)
    assert main(command(copy, "--only", "plain")) == 0
    result = stored(copy)
    assert result.command == "jaxdiscrete reproduce paper/tiny --short --only plain"
    assert result.runs == whole.runs
    assert result.published == whole.published
    # The order along the trajectory is of two.
    assert result.expectations == whole.expectations[1:]
    assert result.shared_trajectory is None


def test_a_cut_run_is_resumed_and_the_others_are_kept(copy, trained):
    before = stored(copy)
    place = copy / "out" / "paper" / "tiny" / "short"
    (place / "result.json").unlink()
    cut = place / "plain-seed1"
    (cut / "summary.json").unlink()
    shutil.rmtree(cut / "checkpoints" / "4")
    after = again(copy)
    assert trained == [("plain-seed1", True)]
    finals = [dict(r.runs["plain"].final) for r in (before, after)]
    for final in finals:
        final.pop("steps_per_second")
    assert finals[0] == finals[1]
    assert after.shared_trajectory == before.shared_trajectory


@pytest.mark.thorough
def test_a_run_without_a_checkpoint_starts_again(copy, trained):
    before = stored(copy)
    place = copy / "out" / "paper" / "tiny" / "short"
    (place / "result.json").unlink()
    cut = place / "plain-seed0"
    for name in ("summary.json", "checkpoints.json", "metrics.jsonl"):
        (cut / name).unlink()
    after = again(copy)
    assert trained == [("plain-seed0", False)]
    elbos = [r.runs["plain"].final["test_elbo"] for r in (before, after)]
    assert elbos[0] == elbos[1]


def test_a_changed_claim_is_compared_without_training(copy, no_training):
    path = copy / "configs" / "paper" / "tiny.toml"
    path.write_text(FILE.replace("range = [0.0, 100.0]", "range = [-1e3, 0.0]"))
    assert again(copy).expectations[1].holds is True
    assert stored(copy).expectations[1].holds is True


def test_changed_settings_are_never_passed_off_as_the_old_runs(copy):
    path = copy / "configs" / "paper" / "tiny.toml"
    path.write_text(FILE.replace("num_latents = [2]", "num_latents = [3]"))
    before = stored(copy)
    with pytest.raises(UsageError, match=r"Expected model\.num_latents = \[2\]"):
        again(copy)
    assert stored(copy) == before


@pytest.mark.thorough
def test_more_seeds_run_what_is_missing(copy, trained):
    path = copy / "configs" / "paper" / "tiny.toml"
    path.write_text(FILE.replace("num_seeds = 2", "num_seeds = 3"))
    result = again(copy)
    assert trained == [("plain-seed2", False)]
    assert result.seeds == (0, 1, 2)
    assert len(result.runs["plain"].final["test_elbo"].values) == 3


def test_a_damaged_result_is_named(copy):
    path = copy / "out" / "paper" / "tiny" / "short" / "result.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(UsageError, match="Delete it: runs that are done are not"):
        again(copy)


def test_unknown_published_keys_come_before_any_run(tmp_path, no_training):
    path = write_configs(tmp_path, FILE.replace('"a/plain"', '"b/plain"'))
    with pytest.raises(UsageError, match=r"keys of published.json .*'b/plain'"):
        reproduce.run(path, tmp_path / "out", tmp_path, SILENT, short=True)
    assert not (tmp_path / "out").exists()
    (tmp_path / "published.json").write_text("{")
    with pytest.raises(UsageError, match=r"Expected published numbers in .*--configs"):
        reproduce.run(path, tmp_path / "out", tmp_path, SILENT, short=True)


@pytest.mark.thorough
def test_a_toy_is_run_like_any_other(tmp_path, trained):
    path = write_configs(tmp_path, TOY)
    result = reproduce.run(path, tmp_path / "out", tmp_path, SILENT, short=True)
    assert result.dataset == "one Bernoulli variable"
    assert result.steps == 40
    assert result.seeds == (0, 1)
    (row,) = result.expectations
    assert row.holds is True
    run = result.runs["exact"]
    # What was published in the course of training is compared with the curve there.
    at_block, between = result.published
    assert (at_block.measured_step, at_block.holds) == (6, True)
    assert at_block.measured.mean == run.curves.metrics["theta"].mean[2]
    assert (between.measured_step, between.holds) == (40, None)
    assert {"theta", "loss", "log_variance"} <= set(run.final)
    assert len(run.final["theta"].values) == 2
    assert len(run.curves.steps) == 20
    assert set(run.curves.metrics) == {"theta", "loss", "log_variance"}
    assert run.settings["model.target"] == 0.2
    assert trained == [("exact-seed0", False), ("exact-seed1", False)]
    again = reproduce.run(path, tmp_path / "out", tmp_path, SILENT, short=True)
    assert again == result
    assert len(trained) == 2


@pytest.mark.thorough
def test_a_changed_setting_is_in_the_command_of_the_report(tmp_path):
    write_configs(tmp_path / "configs", TOY)
    assert main(command(tmp_path, "--training.num-steps", "20")) == 0
    result = stored(tmp_path)
    assert result.command == (
        "jaxdiscrete reproduce paper/tiny --short --training.num-steps 20"
    )
    assert (result.steps, result.full_steps) == (20, 40)
    assert "20 of 40 steps" in (tmp_path / "out" / "report.md").read_text()


def test_targets_are_papers_experiments_and_files(tmp_path):
    path = write_configs(tmp_path)
    (tmp_path / "paper" / "plain.toml").write_text("seed = 1\n")
    other = tmp_path / "paper" / "other.toml"
    other.write_text(TOY)
    find = reproduce.find_experiments
    assert find("paper", tmp_path) == [other, path]
    assert find("paper/tiny", tmp_path) == [path]
    assert find("paper/tiny.toml", tmp_path) == [path]
    assert find(str(path), tmp_path / "absent") == [path]
    with pytest.raises(UsageError, match=r"got 'nothing'.*there are paper"):
        find("nothing", tmp_path)
    with pytest.raises(UsageError, match="there are none"):
        find("nothing", tmp_path / "absent")
