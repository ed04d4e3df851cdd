"""Every file in configs/: it loads, its numbers exist, and each run takes steps."""

import dataclasses
import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.config.grid import Cosine
from jaxdiscrete.experiments.config.load import load_experiment, load_runs
from jaxdiscrete.experiments.config.shipped import CONFIGS, find_config
from jaxdiscrete.experiments.data.binarization import GREY
from jaxdiscrete.experiments.data.dataset import Dataset, DatasetInfo, SetInfo
from jaxdiscrete.experiments.data.load import find_dataset
from jaxdiscrete.experiments.data.text import Text
from jaxdiscrete.experiments.language.captions import TextCorpus
from jaxdiscrete.experiments.reproduce.results import load_published
from jaxdiscrete.experiments.reproduce.run import find_experiments
from jaxdiscrete.experiments.runs.grid import measure
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.state import check_finite

FILES = sorted(CONFIGS.rglob("*.toml"))
CLAIMS = [path for path in FILES if "[claim]" in path.read_text(encoding="utf-8")]
BATCH = 4
experiment_of = functools.cache(load_experiment)


def name_of(path):
    return str(path.relative_to(CONFIGS).with_suffix(""))


def run_names(path):
    return re.findall(r"^\[estimators\.(\w+)\]", path.read_text("utf-8"), re.MULTILINE)


def every_run():
    """All runs; one per file is not slow, by turns, so that all estimators occur.

    Of those the first of every task is tested every day, but for those that take long
    and are trained in tests of their own.
    """
    runs, seen = [], {"semi_supervised", "attention", "glimpses", "feature_selection"}
    seen.add("policy")
    for i, path in enumerate(CLAIMS):
        names = run_names(path)
        if "[grid]" in path.read_text("utf-8"):
            continue
        for j, name in enumerate(names):
            # A scan of decisions over thousands of words takes long to compile.
            is_long = 'task = "text"' in path.read_text("utf-8")
            is_chosen = j == i % len(names) and not is_long
            task = re.search(r'^task = "(\w+)"', path.read_text("utf-8"), re.MULTILINE)
            of_task = task and task[1]
            marks = pytest.mark.slow
            if is_chosen:
                marks = pytest.mark.thorough if of_task in seen else ()
                seen.add(of_task)
            run = pytest.param(path, name, marks=marks, id=f"{name_of(path)}-{name}")
            runs.append(run)
    return runs


def made_up(data):
    """Random images and labels of a data set's shape."""
    info = find_dataset(data.name, DatasetInfo)
    shape, is_grey = info.image_shape, data.binarization in GREY
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2, (64, shape[0] * shape[1]), dtype=np.uint8)
    images *= 255 if is_grey else 1
    labels = np.arange(len(images), dtype=np.int32) % 10
    parts, of_parts = (images,) * 3, (labels,) * 3
    return Dataset(*parts, shape, is_grey, *of_parts, data.name)


def made_up_sentences(name, settings):
    """Random sentences of a vocabulary."""
    rows = np.random.default_rng(0).integers(
        1, settings.num_words, (64, settings.max_words + 1), dtype=np.int32
    )
    rows[:, -1] = 0
    return TextCorpus(Text(rows, rows, rows, (), name))


def check_settings(config):
    info = find_dataset(config.data.name, SetInfo)
    allowed = info.binarizations if isinstance(info, DatasetInfo) else ()
    assert config.data.binarization in (None, *allowed)


def test_there_are_claims_of_every_paper():
    papers = {path.parent.name for path in CLAIMS}
    assert papers >= {"concrete", "gumbel_softmax", "muprop", "nvil", "rebar", "relax"}


@pytest.mark.parametrize("path", [p for p in FILES if p not in CLAIMS], ids=name_of)
def test_files_without_a_claim_load(path):
    (config,) = load_runs(path).values()
    check_settings(config)


def test_names_stand_for_files_and_paths_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = CONFIGS / "digits" / "rebar.toml"
    assert find_config("digits/rebar") == find_config("digits/rebar.toml") == path
    assert find_config(path) == path
    assert find_config("digits/absent") == Path("digits/absent")
    mine = Path("digits") / "rebar.toml"
    mine.parent.mkdir()
    mine.write_text("")
    assert find_config("digits/rebar.toml") == mine
    assert find_config("digits/rebar") == path


@pytest.mark.parametrize("path", CLAIMS, ids=name_of)
def test_claims_name_paper_place_command_and_expectations(path):
    """A reader can run a file from its first lines, and learns what must hold."""
    experiment, text = experiment_of(path), path.read_text(encoding="utf-8")
    claim = experiment.claim
    first, second, third = text.splitlines()[:3]
    assert re.fullmatch(r"# .+\.", first)
    assert second == "#"
    command = re.fullmatch(r"#   jaxdiscrete reproduce (\S+) --short", third)
    assert command, third
    assert find_experiments(command[1], CONFIGS) == [path]
    assert claim.paper, claim.title
    assert claim.reference, claim.where
    assert claim.full_hours > 0
    assert claim.expectations
    for config in experiment.runs.values():
        check_settings(config)


@pytest.mark.parametrize("path", CLAIMS, ids=name_of)
def test_expectations_are_of_runs_that_the_short_length_has(path):
    experiment = experiment_of(path)
    short = experiment.short
    trained = set(short.runs or experiment.names)
    followed = set(short.trajectory_runs or experiment.names)
    for expectation in experiment.claim.expectations:
        known = followed if expectation.trajectory else trained
        used = expectation.runs
        assert used, expectation.text
        assert known.issuperset(used), expectation.text
        if expectation.trajectory:
            assert short.shared_trajectory, expectation.text


@pytest.mark.parametrize("path", CLAIMS, ids=name_of)
def test_short_lengths_are_whole_blocks(path):
    experiment = experiment_of(path)
    for config in experiment.at_length(short=True).runs.values():
        training = config.training
        assert training.num_steps % training.steps_per_block == 0
        if experiment.short.shared_trajectory:
            assert experiment.short.trajectory_steps % training.steps_per_block == 0


@pytest.mark.parametrize("path", CLAIMS, ids=name_of)
def test_published_numbers_exist_and_are_of_the_paper(path):
    published, claim = load_published(CONFIGS), experiment_of(path).claim
    keys = [p.key for p in claim.published]
    assert len(set(keys)) == len(keys)
    for p in claim.published:
        entry = published[p.key]
        # Papers copy from each other, and then the place says where the number is.
        assert entry.paper == claim.paper or entry.paper in claim.where
        # Where we measure log-likelihoods, they are negative on our side.
        if p.metric.endswith(("_elbo", "_bound", "_objective")):
            assert p.sign * entry.value < 0, p.key


@pytest.mark.parametrize(("path", "name"), every_run())
def test_runs_take_two_steps(path, name, monkeypatch, tmp_path):
    config = experiment_of(path).runs[name]
    batch = min(BATCH, config.training.batch_size)
    training = dataclasses.replace(config.training, batch_size=batch)
    config = dataclasses.replace(config, training=training)
    if hasattr(config.model, "predictor"):
        monkeypatch.setenv("JAXDISCRETE_CACHE", str(tmp_path))
        least = {"num_epochs": 1, "batch_size": batch}
        predictor = dataclasses.replace(config.model.predictor, **least)
        evaluator = dataclasses.replace(config.model.evaluator, **least)
        model = dataclasses.replace(
            config.model, predictor=predictor, evaluator=evaluator
        )
        config = dataclasses.replace(config, model=model)
    for module in ("layered.task", "tasks.semi_supervised.task", "training.dataset"):
        loader = f"jaxdiscrete.experiments.{module}.load_dataset"
        monkeypatch.setattr(loader, made_up)
    for name in ("text", "language_model"):
        loader = f"jaxdiscrete.experiments.tasks.{name}.task.load_corpus"
        monkeypatch.setattr(loader, made_up_sentences)
    task = make_task(config)
    data = task.data()

    @jax.jit
    def two_steps():
        chosen = task.batches(jnp.asarray(0), 2, data)
        return jax.lax.scan(
            lambda state, c: step.step(task, state, c, data), step.init(task), chosen
        )

    state, checked = two_steps()
    assert int(state.step) == 2
    assert checked["loss"].shape == (2,)
    check_finite(0, checked, "Correct the file.")


@pytest.mark.thorough
def test_grids_can_be_measured():
    """Every estimator of every file with a grid of temperatures, with few gradients.

    Random search has a program per size and estimator: its own test has fewer.
    """
    for path in CLAIMS:
        grid = experiment_of(path).grid
        if grid is not None and isinstance(grid.settings, Cosine):
            settings = dataclasses.replace(grid.settings, num_gradients=2)
            measured = measure(dataclasses.replace(grid, settings=settings))
            assert set(measured.estimators) == set(grid.runs)
