"""Settings from files: their types, and what the errors say."""

import dataclasses
import json

import pytest

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.multi_sample import ReinforceLoo
from jaxdiscrete.experiments.estimators.pathwise import GumbelSoftmax
from jaxdiscrete.experiments.estimators.score_function import Reinforce
from jaxdiscrete.experiments.settings.check import check_schedules
from jaxdiscrete.experiments.settings.fields import Schedule, constant, flatten
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.training.settings import Config
from tests.experiments.helpers import load_config


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


def test_a_warm_up_may_start_at_a_rate_of_zero(write):
    path = write(
        "[optimizer.learning_rate]\nname = 'linear_schedule'\ninit_value = 0.0\n"
        "end_value = 0.1\ntransition_steps = 10"
    )
    assert load_config(path).optimizer.learning_rate.name == "linear_schedule"


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
    config = Config(model=Generative(), estimator=Reinforce())
    optimizer = dataclasses.replace(config.optimizer, learning_rate=rate)
    config = dataclasses.replace(config, optimizer=optimizer)
    again = json.loads(json.dumps(dataclasses.asdict(config)))
    assert flatten(again) == flatten(config)
    assert flatten(config)["model.num_latents"] == [32]
    assert flatten(config)["optimizer.learning_rate.name"] == rate.name
