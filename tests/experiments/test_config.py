"""Configuration files: what is read, and what the errors say."""

import dataclasses
import json
import tomllib
from pathlib import Path

import pytest

from jaxdiscrete.experiments.config import check, flatten, load_config
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators import ESTIMATORS
from jaxdiscrete.experiments.settings import (
    Config,
    MultiSample,
    Relaxation,
    Schedule,
    StudyConfig,
)

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def write(tmp_path):
    def write_toml(text):
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_toml


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("digits/*.toml")), ids=str)
def test_shipped_digits_configs_load(path):
    config = load_config(path, Config)
    assert config.estimator.name == path.stem
    assert type(config.estimator) is ESTIMATORS[path.stem].settings


def test_shipped_digits_configs_write_out_every_key():
    """Readers see all settings, and a comparison is between estimators alone."""
    for path in CONFIGS.glob("digits/*.toml"):
        given = flatten(tomllib.loads(path.read_text(encoding="utf-8")))
        assert given.keys() == flatten(load_config(path, Config)).keys(), path


def test_shipped_study_loads():
    config = load_config(CONFIGS / "talk/cos.toml", StudyConfig)
    assert len(config.logits) == 4


def test_what_is_left_out_has_its_default(write):
    assert load_config(write(""), Config) == Config()


def test_values_are_read_with_their_types(write):
    path = write(
        "[model]\nhidden = [3, 4]\n[optimizer]\nlearning_rate = 1\n"
        '[estimator]\nname = "reinforce_loo"\nnum_samples = 3'
    )
    config = load_config(path, Config)
    assert config.model.hidden == (3, 4)
    assert isinstance(config.optimizer.learning_rate, float)
    assert config.estimator == MultiSample("reinforce_loo", 3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.5", Schedule(0.5, 0.5)),
        ("{ start = 1.0, end = 0.5, num_steps = 9 }", Schedule(1.0, 0.5, 9)),
    ],
)
def test_a_temperature_is_a_number_or_a_schedule(write, value, expected):
    path = write(f'[estimator]\nname = "gumbel_softmax"\ntemperature = {value}')
    assert load_config(path, Config).estimator == Relaxation("gumbel_softmax", expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed = 1", "Expected a key among seed, data.*unknown key speed"),
        (
            "[optimizer]\nlr = 1",
            "among optimizer.learning_rate, .*unknown key optimizer.lr",
        ),
        ('[estimator]\nname = "reinforce"\nscale = 1.0', "unknown key estimator.scale"),
        (
            '[estimator]\nname = "gumbel_softmax"\ntemperature = { begin = 1.0 }',
            "unknown key estimator.temperature.begin",
        ),
        ("seed = 1.5", "Expected seed to be an integer, got 1.5 of type float"),
        ("seed = true", "Expected seed to be an integer, got True of type bool"),
        (
            '[optimizer]\nlearning_rate = "fast"',
            "optimizer.learning_rate to be a number, got 'fast' of type str",
        ),
        ("[model]\nhidden = 64", "model.hidden to be a list, got 64 of type int"),
        ("[model]\nhidden = [1.5]", r"model.hidden\[0\] to be an integer, got 1.5"),
        ("model = 3", "Expected model to be a table, got 3"),
        (
            '[estimator]\nname = "gumbel_softmax"\ntemperature = "low"',
            "temperature to be a number or a table, got 'low'",
        ),
        ('[estimator]\nname = "magic"', "among gumbel_softmax, mean.*got 'magic'"),
        ("[estimator]\nname = 3", "Expected estimator.name to be a string, got 3"),
        ("[optimizer]\nlearning_rate = 0.0", "optimizer.learning_rate > 0, got 0.0"),
        ("[optimizer]\nlearning_rate = nan", "optimizer.learning_rate finite, got nan"),
        ("[model]\nhidden = [8, 0]", "Expected model.hidden >= 1, got 0"),
        (
            '[estimator]\nname = "reinforce_loo"\nnum_samples = 1',
            "Expected estimator.num_samples >= 2, got 1",
        ),
        ("[training]\nnum_epochs = 7", "a multiple of training.epochs_per_block=5"),
    ],
)
def test_errors_name_the_key_and_what_came(write, text, message):
    path = write(text)
    with pytest.raises(UsageError, match=message) as info:
        load_config(path, Config)
    assert str(path) in str(info.value)


def test_a_study_needs_two_classes(write):
    with pytest.raises(UsageError, match="at least 2 numbers, got 1"):
        load_config(write("logits = [0.0]"), StudyConfig)


def test_missing_and_unreadable_files(tmp_path, write):
    with pytest.raises(UsageError, match="got no such file"):
        load_config(tmp_path / "absent.toml", Config)
    with pytest.raises(UsageError, match=r"Expected TOML in .*line 1"):
        load_config(write("seed = = 1"), Config)
    with pytest.raises(UsageError, match="readable text file"):
        load_config(tmp_path, Config)
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="readable text file"):
        load_config(path, Config)


def test_settings_from_the_command_line_are_checked_too():
    config = dataclasses.replace(Config(), seed=-1)
    with pytest.raises(UsageError, match="Expected seed >= 0, got -1"):
        check(config)


def test_flatten_agrees_before_and_after_json():
    config = Config()
    again = json.loads(json.dumps(dataclasses.asdict(config)))
    assert flatten(again) == flatten(config)
    assert flatten(config)["optimizer.learning_rate"] == 1e-3
