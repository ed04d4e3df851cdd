"""The command line: arguments, help and the process."""

import subprocess
import sys

import pytest

import jaxdiscrete
from jaxdiscrete.experiments import cli
from jaxdiscrete.experiments.cli import main
from tests.experiments.commands.helpers import (
    fails,
    shows_help,
)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxdiscrete {jaxdiscrete.__version__}\n"


# Input


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train"], "a configuration file right after the command, got nothing"),
        (["train", "--resume"], "right after the command, got nothing"),
        (["train", "a.toml", "b.toml"], "command, got a.toml and b.toml"),
        (["sweep"], "a configuration file right after the command, got nothing"),
        (["measure"], "a configuration file right after the command, got nothing"),
        (["train", "absent.toml"], "got no such file"),
        (["train", "digits/absent"], "got no such file"),
        (["compare"], "at least one configuration file"),
        (["compare", "a.toml"], "got no such file"),
        (["sweep", "a.toml"], "got no such file"),
        (["reproduce"], "a paper, an experiment or a file, got none"),
        (["reproduce", "nothing", "--configs", "absent"], "got 'nothing'"),
    ],
)
def test_arguments_that_name_no_file(args, message, capsys):
    fails(capsys, args, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[estimator]\nname = "magic"', "estimator.name among"),
        ("[model]\nwidth = 3", "unknown key model.width"),
        ('[estimator]\nname = "rebar"\nspeed = 3', "unknown key estimator.speed"),
        ('[estimator]\nname = "gumbel_softmax"\ntemperature = 0.0', "temperature > 0"),
        ('[data]\nname = "pictures"', "Expected a data set among"),
    ],
)
def test_files_that_cannot_be_used_are_one_line(tmp_path, text, message, capsys):
    path = tmp_path / "run.toml"
    path.write_text(text)
    for command in ("train", "compare", "sweep"):
        args = [command, path, "--output-dir", tmp_path / "new"]
        fails(capsys, args, message)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "args",
    [
        ["--estimator.num-samples", "3"],
        ["--model.task", "magic"],
        ["--optimizer.learning-rate", "fast"],
    ],
)
def test_options_that_cannot_be_parsed_exit_with_two(configs, args, capsys):
    with pytest.raises(SystemExit) as info:
        main(["train", str(configs / "rebar.toml"), *args])
    assert info.value.code == 2
    assert args[0].removeprefix("--") in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "compare", "sweep", "measure"])
def test_help_shows_the_values_of_the_file(configs, command, capsys):
    out = shows_help(capsys, [command, configs / "rebar.toml", "--help"])
    assert "--estimator.temperature" in out
    assert "--training.batch-size" in out
    assert "default: 450" in out
    assert "--output" in out


def test_help_of_one_of_several_estimators(configs, capsys):
    args = ["train", configs / "several.toml", "--only", "even", "--help"]
    assert "mean_field" not in shows_help(capsys, ["train", "--help"])
    assert "--training.batch-size" in shows_help(capsys, args)


def test_help_without_a_file_shows_the_commands_and_their_options(capsys):
    assert "reproduce" in shows_help(capsys, ["--help"])
    assert "--mesh" in shows_help(capsys, ["train", "--help"])
    assert "--short" in shows_help(capsys, ["reproduce", "rebar", "--help"])
    assert "fetch" in shows_help(capsys, ["data", "--help"])


def test_help_is_made_of_sentences_that_stand_alone(configs, capsys):
    """Fragments that lean on the line before are the ones that begin like these."""
    commands = ("train", "compare", "sweep", "measure", "reproduce")
    pages = [shows_help(capsys, [c, "--help"]) for c in commands]
    pages += [shows_help(capsys, ["train", configs / "rebar.toml", "--help"])]
    pages += [shows_help(capsys, ["data", c, "--help"]) for c in ("fetch", "verify")]
    for page in pages:
        text = " ".join(page.replace("│", " ").split())
        for fragment in ("likewise", "Which.", "Which of", "How many there", " Of the"):
            assert fragment not in text


def test_a_command_without_settings_refuses_them(capsys):
    with pytest.raises(SystemExit) as left:
        main(["data", "list", "--seed", "1"])
    assert left.value.code == 2
    assert "seed" in capsys.readouterr().err


# The process


def test_interruption_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr("jaxdiscrete.experiments.commands.main.run", interrupted)
    monkeypatch.setattr("os._exit", leave)
    with pytest.raises(SystemExit) as left:
        main(["train"])
    assert left.value.code == 130
    assert "continue with --resume" in capsys.readouterr().err


def test_missing_packages_are_named(monkeypatch, capsys):
    monkeypatch.setattr(cli, "REQUIRED", ("rich", "nowhere", "nowhere.deeper"))
    fails(capsys, ["train"], "pip install 'jaxdiscrete[experiments]'")


def test_the_library_does_not_import_the_experiments():
    code = (
        "import sys, jaxdiscrete; "
        "sys.exit(any(m in sys.modules for m in "
        "('jaxdiscrete.experiments', 'flax', 'matplotlib', 'rich', 'tyro')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
