"""Configuration files: what is read, and what the errors say."""

import dataclasses
import json
import subprocess
import sys

import pytest

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.config.load import load_experiment, load_runs
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.multi_sample import ReinforceLoo
from jaxdiscrete.experiments.estimators.pathwise import GumbelSoftmax
from jaxdiscrete.experiments.estimators.score_function import Reinforce
from jaxdiscrete.experiments.settings.check import check_schedules
from jaxdiscrete.experiments.settings.fields import Schedule, constant, flatten
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.tasks.toy.settings import Settings as Toy
from jaxdiscrete.experiments.training.settings import Config

DEFAULT = Config(model=Generative(), estimator=Reinforce())


def load_config(path):
    """The one run of a file."""
    (config,) = load_runs(path).values()
    return config


@pytest.fixture
def write(tmp_path):
    def write_toml(text):
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_toml


def test_what_is_left_out_has_its_default(write):
    assert load_config(write("")) == DEFAULT


def test_values_are_read_with_their_types(write):
    path = write(
        "[model]\nhidden = [3, 4]\nnum_latents = [5]\n[optimizer]\nlearning_rate = 1\n"
        '[estimator]\nname = "reinforce_loo"\nnum_samples = 3'
    )
    config = load_config(path)
    assert config.model.hidden == (3, 4)
    assert config.model.num_latents == (5,)
    assert config.optimizer.learning_rate == constant(1.0)
    assert isinstance(config.optimizer.learning_rate.arguments["value"], float)
    assert config.estimator == ReinforceLoo(num_samples=3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.5", constant(0.5)),
        ("2", constant(2.0)),
        (
            '{ name = "exponential_decay", init_value = 1.0, transition_steps = 9000, '
            "decay_rate = 0.5 }",
            Schedule(
                "exponential_decay",
                {"init_value": 1.0, "transition_steps": 9000, "decay_rate": 0.5},
            ),
        ),
        (
            '{ name = "piecewise_constant_schedule", init_value = 1.0, '
            "boundaries_and_scales = { 10 = 0.5, 20 = 0.1 } }",
            Schedule(
                "piecewise_constant_schedule",
                {"init_value": 1.0, "boundaries_and_scales": {10: 0.5, 20: 0.1}},
            ),
        ),
    ],
)
def test_a_temperature_is_a_number_or_a_schedule(write, value, expected):
    path = write(f'[estimator]\nname = "gumbel_softmax"\ntemperature = {value}')
    assert load_config(path).estimator == GumbelSoftmax(temperature=expected)


def schedule(text):
    return f'[estimator]\nname = "gumbel_softmax"\ntemperature = {text}'


ERRORS = {
    "unknown": ("speed = 1", "Expected a key among seed, data.*unknown key speed"),
    "unknown_in_table": (
        "[optimizer]\nlr = 1",
        r"among optimizer.name, .*unknown key optimizer\.lr",
    ),
    "unknown_for_estimator": (
        '[estimator]\nname = "reinforce"\nscale = 1.0',
        r"unknown key estimator\.scale",
    ),
    "real": ("seed = 1.5", "Expected seed to be an integer, got 1.5 of type float"),
    "true": ("seed = true", "Expected seed to be an integer, got True of type bool"),
    "rate_true": (
        "[optimizer]\nlearning_rate = true",
        "optimizer.learning_rate to be a number or a table, got True",
    ),
    "float_true": ("[optimizer]\nmomentum = true", "momentum to be a number, got True"),
    "bool": (
        '[estimator]\nname = "nvil"\ncentre = 1',
        "estimator.centre to be true or false, got 1 of type int",
    ),
    "text": (
        '[optimizer]\nlearning_rate = "fast"',
        "optimizer.learning_rate to be a number or a table, got 'fast' of type str",
    ),
    "no_list": (
        "[model]\nhidden = 64",
        "model.hidden to be a list, got 64 of type int",
    ),
    "item": (
        "[model]\nhidden = [1.5]",
        r"model.hidden\[0\] to be an integer, got 1.5",
    ),
    "no_table": ("model = 3", "Expected model to be a table, got 3"),
    "literal": (
        '[model]\nactivation = "gelu"',
        "Expected model.activation among tanh, relu, leaky_relu, got 'gelu'",
    ),
    "literal_type": ("[model]\ntask = 3", "model.task among attention, feature_"),
    "task": (
        '[model]\ntask = "magic"',
        "task among .*structured, text, toy, got 'magic'",
    ),
    "literal_list": ('[model]\ntask = ["generative"]', "model.task among attention"),
    "unknown_for_task": (
        '[model]\ntask = "structured"\nprior = "uniform"',
        r"unknown key model\.prior",
    ),
    "literal_bool": (
        "[optimizer]\nname = true",
        "optimizer.name among adam, rmsprop, sgd",
    ),
    "estimator": (
        '[estimator]\nname = "magic"',
        "estimator.name among .*gumbel_softmax, half_.*got 'magic'",
    ),
    "estimator_type": (
        "[estimator]\nname = 3",
        "Expected estimator.name to be a string, got 3",
    ),
    "below": ("seed = -1", "Expected seed >= 0, got -1"),
    "not_above": (
        "[optimizer]\ncontrol_variate_factor = 0.0",
        "optimizer.control_variate_factor > 0, got 0.0",
    ),
    "nan": ("[optimizer]\nmomentum = nan", "optimizer.momentum finite, got nan"),
    "infinite": (
        "[model]\nprior_temperature = inf",
        "model.prior_temperature finite, got inf",
    ),
    "item_below": ("[model]\nhidden = [8, 0]", "Expected model.hidden >= 1, got 0"),
    "layer_below": ("[model]\nnum_latents = [0]", "model.num_latents >= 1, got 0"),
    "no_layers": ("[model]\nnum_latents = []", "model.num_latents .*at least one"),
    "few_samples": (
        '[estimator]\nname = "reinforce_loo"\nnum_samples = 1',
        "Expected estimator.num_samples >= 2, got 1",
    ),
    "multiple": (
        "[training]\nnum_steps = 7",
        "a multiple of training.steps_per_block=500",
    ),
    "rate_negative": (
        "[optimizer]\nlearning_rate = -0.1",
        "optimizer.learning_rate >= 0, got -0.1",
    ),
    "rate_nan": (
        "[optimizer]\nlearning_rate = nan",
        "optimizer.learning_rate finite, got nan",
    ),
    "temperature_zero": (schedule("0.0"), "estimator.temperature > 0, got 0.0"),
    "temperature_nan": (schedule("nan"), "estimator.temperature finite, got nan"),
    "schedule_nameless": (
        schedule("{ value = 1.0 }"),
        "estimator.temperature.name among constant_schedule, .*got None",
    ),
    "schedule_unknown": (
        schedule('{ name = "magic" }'),
        "estimator.temperature.name among constant_schedule, .*got 'magic'",
    ),
    "schedule_unhashable": (
        schedule('{ name = ["magic"] }'),
        "estimator.temperature.name among constant_schedule",
    ),
    "schedule_lacks": (
        schedule('{ name = "exponential_decay", init_value = 1.0 }'),
        "arguments of optax.exponential_decay, got: missing .*transition_steps",
    ),
    "schedule_has_more": (
        schedule('{ name = "constant_schedule", value = 1.0, speed = 2 }'),
        "arguments of optax.constant_schedule, got: .*speed",
    ),
    "schedule_refuses": (
        schedule(
            '{ name = "cosine_decay_schedule", init_value = 1.0, decay_steps = 0 }'
        ),
        "arguments of optax.cosine_decay_schedule, got: .*positive",
    ),
    "schedule_type": (
        schedule('{ name = "constant_schedule", value = "low" }'),
        "arguments of optax.constant_schedule, got: ",
    ),
    "schedule_steps": (
        schedule(
            '{ name = "piecewise_constant_schedule", init_value = 1.0, '
            "boundaries_and_scales = { ten = 0.5 } }"
        ),
        "arguments of optax.piecewise_constant_schedule, got: ",
    ),
    "schedule_no_steps": (
        schedule(
            '{ name = "piecewise_constant_schedule", init_value = 1.0, '
            "boundaries_and_scales = 3 }"
        ),
        "arguments of optax.piecewise_constant_schedule, got: ",
    ),
}


@pytest.mark.parametrize("which", ERRORS)
def test_errors_name_the_key_and_what_came(write, which):
    text, message = ERRORS[which]
    path = write(text)
    with pytest.raises(UsageError, match=message) as info:
        load_config(path)
    assert str(info.value).startswith(f"{path}: ")
    assert "\n" not in str(info.value)


def test_schedules_are_checked_before_a_run_starts(write):
    """Their values are computed, which reading a file does not do."""
    text = (
        '{ name = "linear_schedule", init_value = 1.0, end_value = 0.0, '
        "transition_steps = 10 }"
    )
    config = load_config(write(schedule(text)))
    with pytest.raises(UsageError, match=r"estimator\.temperature > 0, got 0\.0"):
        check_schedules(config, config.training.num_steps)


def test_reading_a_file_computes_nothing_and_imports_no_network():
    """In a process of its own, for all files that come along."""
    code = """
import pathlib, sys
import jax
from jaxdiscrete.experiments.config import load, shipped
for path in shipped.CONFIGS.rglob("*.toml"):
    text = path.read_text()
    experiment = load.load_experiment(path) if "[claim]" in text else None
    runs = load.load_runs(path) if "[grid]" not in text else {}
    assert runs or experiment.grid.runs
imported = {"flax", "orbax", "matplotlib", "sklearn"} & set(sys.modules)
assert not imported, imported
# Processes can still be joined, which no backend survives.
jax.config.update("jax_platforms", "nowhere")
try:
    jax.devices()
except RuntimeError:
    sys.exit(0)
sys.exit("there is a backend already")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_warm_up_may_start_at_a_rate_of_zero(write):
    path = write(
        "[optimizer.learning_rate]\nname = 'linear_schedule'\ninit_value = 0.0\n"
        "end_value = 0.1\ntransition_steps = 10"
    )
    assert load_config(path).optimizer.learning_rate.name == "linear_schedule"


def test_missing_and_unreadable_files(tmp_path, write):
    for load in (load_runs, load_experiment):
        with pytest.raises(UsageError, match="got no such file"):
            load(tmp_path / "absent.toml")
        with pytest.raises(UsageError, match=r"Expected TOML in .*line 1"):
            load(write("seed = = 1"))
        with pytest.raises(UsageError, match="readable text file"):
            load(tmp_path)
        path = tmp_path / "binary.toml"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(UsageError, match="readable text file"):
            load(path)


def test_settings_from_the_command_line_are_checked_too():
    config = dataclasses.replace(DEFAULT, seed=-1)
    with pytest.raises(UsageError, match="Expected seed >= 0, got -1"):
        check(config)


@pytest.mark.parametrize(
    "rate",
    [
        constant(1e-3),
        Schedule(
            "piecewise_constant_schedule",
            {"init_value": 1.0, "boundaries_and_scales": {10: 0.5, 20: 0.1}},
        ),
    ],
)
def test_flatten_agrees_before_and_after_json(rate):
    config = DEFAULT
    optimizer = dataclasses.replace(config.optimizer, learning_rate=rate)
    config = dataclasses.replace(config, optimizer=optimizer)
    again = json.loads(json.dumps(dataclasses.asdict(config)))
    assert flatten(again) == flatten(config)
    assert flatten(config)["model.num_latents"] == [32]
    assert flatten(config)["optimizer.learning_rate.name"] == rate.name


# Files with a claim

RUNS = """
[claim]
title = "Two runs"

[short]
num_steps = 500

[estimators.plain]
name = "reinforce"

[estimators.controlled]
name = "rebar"
scale = 0.5
"""


def test_runs_share_all_but_their_estimator(write):
    path = write("seed = 3\n" + RUNS)
    runs = load_runs(path)
    assert list(runs) == ["plain", "controlled"]
    assert runs["controlled"].estimator.scale == 0.5
    assert all(config.seed == 3 for config in runs.values())
    experiment = load_experiment(path)
    assert experiment.runs == runs
    assert experiment.claim.title == "Two runs"
    assert experiment.short.num_steps == 500


def test_a_file_with_one_estimator_is_one_run_of_its_name(write):
    assert load_runs(write("seed = 3")) == {"run": dataclasses.replace(DEFAULT, seed=3)}


def test_the_claim_of_a_file_does_not_matter_to_its_runs(write):
    assert load_runs(write(RUNS.replace('"Two runs"', "3")))


TOY = (
    '[claim]\n[model]\ntask = "toy"\ntarget = 0.4\n'
    '[estimators.plain]\nname = "reinforce"\n'
)


def test_a_toy_is_a_run_like_others(write):
    path = write(TOY)
    runs = load_runs(path)
    assert runs == {"plain": dataclasses.replace(DEFAULT, model=Toy(target=0.4))}
    assert load_experiment(path).runs == runs


GRID = """
[claim]
[[claim.expectations]]
text = "unbiased"
metric = "bias"
within = ["rebar_0.5"]
range = [0.0, 1.0]
[grid]
logits = [0.5, 0.0, -0.5]
temperatures = [0.5, 2.0]
num_gradients = 100
[estimators.plain]
name = "reinforce"
[estimators.relaxed]
name = "gumbel_softmax"
[estimators.rebar]
name = "rebar"
"""


SEARCH = """
[claim]
[[claim.expectations]]
text = "grows"
metric = "exponent"
within = ["plain"]
range = [1.4, 1.6]
[grid]
problem = "random_search"
sizes = [4, 16]
offset_size = 4
[estimators.plain]
name = "reinforce"
"""


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


def published(**keys):
    keys = {"key": '"a"', "run": '"plain"', "metric": '"test_elbo"'} | keys
    return "[[claim.published]]\n" + "\n".join(f"{k} = {v}" for k, v in keys.items())


def expectation(**keys):
    keys = {"text": '"order"', "metric": '"test_elbo"'} | keys
    lines = "\n".join(f"{k} = {v}" for k, v in keys.items())
    return "[[claim.expectations]]\n" + lines


EXPERIMENT_ERRORS = {
    "no_claim": (
        '[estimators.plain]\nname = "reinforce"',
        "tables claim and estimators",
    ),
    "claim_key": (RUNS + "[claim.x]\n", r"unknown key claim\.x"),
    "claim_number": (
        RUNS.replace("[claim]", "[claim]\nfull_hours = -1"),
        r"claim\.full_hours >= 0, got -1",
    ),
    "claim_type": (
        "claim = 3\n" + RUNS.replace("[claim]", "[x]"),
        "claim to be a table",
    ),
    "short_key": (RUNS.replace("num_steps", "steps"), r"unknown key short\.steps"),
    "short_number": (RUNS.replace("500", "0"), r"short\.num_steps >= 1, got 0"),
    "estimator_key": (
        RUNS + "speed = 1\n",
        r"estimators\.controlled.*estimator\.speed",
    ),
    "estimator_type": (
        RUNS.replace("0.5", '"low"'),
        r"estimators\.controlled.*estimator\.scale to be a number, got 'low'",
    ),
    "estimator_bound": (
        RUNS + "temperature = 0.0\n",
        r"estimators\.controlled: Expected estimator\.temperature > 0, got 0\.0",
    ),
    "estimators_type": ("estimators = 3\n[claim]\n", "estimators to be a table, got 3"),
    "no_estimators": ("[claim]\n[estimators]\n", "at least one .*estimators"),
    "both": (
        RUNS + '[estimator]\nname = "nvil"\n',
        "estimator or estimators, got both",
    ),
    "toy_key": (
        TOY.replace("target", "num_latents = [3]\ntarget"),
        r"unknown key model\.num_latents",
    ),
    "toy_nvil": (
        TOY.replace("reinforce", "nvil"),
        "no baseline of the inputs.*in nvil",
    ),
    "pairs": (
        RUNS.replace('"rebar"\nscale = 0.5', '"disarm"\nnum_samples = 3'),
        r"estimators\.controlled: Expected estimator\.num_samples to be even .*got 3",
    ),
    "grid_classes": (
        GRID.replace("[0.5, 0.0, -0.5]", "[0.5]"),
        r"grid\.logits to be at least 2 numbers, got 1",
    ),
    "grid_number": (GRID.replace("100", "1"), r"grid\.num_gradients >= 2, got 1"),
    "grid_key": (GRID.replace("logits", "logit"), r"unknown key grid\.logit"),
    "grid_and_model": (GRID + "[model]\n", "unknown key model"),
    "grid_estimator": (GRID + "speed = 1\n", r"unknown key estimators\.rebar\.speed"),
    "grid_problem": (
        GRID.replace("[grid]", '[grid]\nproblem = "sine"'),
        r"grid\.problem among cosine, random_search, got 'sine'",
    ),
    "grid_sizes": (
        SEARCH.replace("[4, 16]", "[16, 4]"),
        r"grid\.sizes to be at least 2 growing numbers, got \[16, 4\]",
    ),
    "grid_offset_size": (
        SEARCH.replace("offset_size = 4", "offset_size = 5"),
        r"grid\.offset_size among grid\.sizes \[4, 16\], got 5",
    ),
    "grid_bits": (
        SEARCH.replace('"reinforce"', '"vimco"'),
        r"expectation over bits .*got vimco",
    ),
    "from_step": (
        RUNS + expectation(lower='["plain"]', higher='["controlled"]', from_step="3"),
        r"trajectory = true and metric = 'log_variance' where .*from_step",
    ),
    "standard_errors": (
        RUNS
        + expectation(
            lower='["plain"]', higher='["controlled"]', standard_errors="2.0"
        ),
        r"several seeds .* has standard_errors, got 1 for 'order'",
    ),
    "mean_within": (
        RUNS + expectation(mean_within='["plain"]'),
        r"range to be two numbers where",
    ),
    "ratio": (RUNS + expectation(ratio="0.0"), r"claim\S*ratio > 0, got 0\.0"),
    "published_key": (
        RUNS + published(value="3"),
        r"unknown key claim\.published\S*value",
    ),
    "published_sign": (
        RUNS + published(sign="2"),
        r"published\S*sign among 1, -1, got 2",
    ),
    "published_sign_bool": (
        RUNS + published(sign="true"),
        r"sign among 1, -1, got True",
    ),
    "published_run": (
        RUNS + published(run='"other"'),
        "among plain, contr.*got 'other'",
    ),
    "published_lacks": (
        RUNS + '[[claim.published]]\nrun = "plain"\n',
        r"claim\.published\S*key",
    ),
    "published_bound": (
        RUNS + published(tolerance="-1.0"),
        r"claim\.published\S*tolerance >= 0, got -1",
    ),
    "expected_run": (
        RUNS + expectation(lower='["other"]', higher='["plain"]'),
        "got 'other'",
    ),
    "expected_nothing": (RUNS + expectation(), "lower and higher, or within, in every"),
    "expected_half": (RUNS + expectation(lower='["plain"]'), "neither pair nor range"),
    "expected_no_range": (
        RUNS + expectation(within='["plain"]'),
        r"range to be two numbers where claim\.expectations has within, got \[\]",
    ),
    "expected_range": (
        RUNS + expectation(within='["plain"]', range="[1.0]"),
        r"range to be two numbers .*got \[1\.0\]",
    ),
    "short_block": (RUNS.replace("500", "750"), r"multiple of the steps_per_block 500"),
    "short_run": (RUNS.replace("500", '500\nruns = ["other"]'), "got 'other'"),
    "driver": (RUNS.replace("500", '500\nshared_trajectory = "other"'), "got 'other'"),
    "driver_not_followed": (
        RUNS.replace(
            "500", '500\nshared_trajectory = "plain"\ntrajectory_runs = ["controlled"]'
        ),
        "trajectory_runs.*'plain'",
    ),
    "expected_not_run": (
        RUNS.replace("500", '500\nruns = ["plain"]')
        + expectation(lower='["controlled"]', higher='["plain"]'),
        r"claim\.expectations.*'controlled'",
    ),
    "expected_no_trajectory": (
        RUNS + expectation(lower='["plain"]', higher='["plain"]', trajectory="true"),
        "shared_trajectory",
    ),
    "expected_not_followed": (
        RUNS.replace(
            "500", '500\nshared_trajectory = "plain"\ntrajectory_runs = ["plain"]'
        )
        + expectation(
            lower='["controlled"]',
            higher='["plain"]',
            trajectory="true",
            metric='"log_variance"',
        ),
        r"claim\.expectations.*'controlled'",
    ),
}


@pytest.mark.parametrize("which", EXPERIMENT_ERRORS)
def test_errors_in_a_claim_and_its_runs(write, which):
    text, message = EXPERIMENT_ERRORS[which]
    path = write(text)
    with pytest.raises(UsageError, match=message) as info:
        load_experiment(path)
    assert str(info.value).startswith(f"{path}: ")
    assert "\n" not in str(info.value)
