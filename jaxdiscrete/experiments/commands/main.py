"""From arguments to a command that runs."""

from __future__ import annotations

import functools
import sys
from typing import Annotated, Any

import tyro
from rich.console import Console
from tyro.conf import subcommand

import jaxdiscrete
from jaxdiscrete.experiments.commands.compare import Compare
from jaxdiscrete.experiments.commands.data import Data
from jaxdiscrete.experiments.commands.measure import Measure
from jaxdiscrete.experiments.commands.overrides import PARSER, Overrides
from jaxdiscrete.experiments.commands.reproduce import Reproduce
from jaxdiscrete.experiments.commands.sweep import Sweep
from jaxdiscrete.experiments.commands.train import Train
from jaxdiscrete.experiments.errors import ExperimentError, RunError

Command = (
    Annotated[Train, subcommand("train", prefix_name=False)]
    | Annotated[Compare, subcommand("compare", prefix_name=False)]
    | Annotated[Sweep, subcommand("sweep", prefix_name=False)]
    | Annotated[Reproduce, subcommand("reproduce", prefix_name=False)]
    | Annotated[Measure, subcommand("measure", prefix_name=False)]
    | Annotated[Data, subcommand("data", prefix_name=False)]
)
_HELP = ("-h", "--help")
_DESCRIPTION = "Experiments with gradients through discrete randomness."


def run(args: list[str]) -> int:
    """Parses the arguments and runs the command.

    Args:
      args: without the program's name.

    Returns:
      The exit code: 0, 1 for a run that failed, 2 for input that cannot be used.

    Raises:
      SystemExit: on --help, and with code 2 on arguments that cannot be parsed.
    """
    if args == ["--version"]:
        print(f"jaxdiscrete {jaxdiscrete.__version__}")
        return 0
    try:
        _run(args, Console())
    except ExperimentError as error:
        print(f"jaxdiscrete: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        # A full disk, a folder without permission: files are written beside their
        # place and renamed, so that what was there before is intact.
        place = f" ({error.filename})" if error.filename else ""
        print(
            f"jaxdiscrete: Expected to read and write files, got: {error.strerror}"
            f"{place}. Make room or correct the path; a run goes on from its newest "
            "checkpoint with --resume.",
            file=sys.stderr,
        )
        return RunError.exit_code
    return 0


def _run(args: list[str], screen: Console) -> None:
    plain = [arg for arg in args if arg not in _HELP]
    wants_help = len(plain) < len(args)
    if len(plain) < 2 and wants_help:
        _parse(args)
    # What a command does not know are settings of its files, which decide what there
    # is to be set: they are read in between.
    command, options = _parse(plain, lenient=True)
    overrides = Overrides("jaxdiscrete " + " ".join(args[:2]), tuple(options))
    takes_settings = hasattr(command, "files")
    if wants_help:
        if takes_settings and command.files:
            overrides.show_help(command)
        _parse(args)
    elif takes_settings:
        command.run(screen, overrides)
    else:
        _parse(args)[0].run(screen)


def _parse(args: list[str], *, lenient: bool = False) -> tuple[Any, list[str]]:
    """A command, and the options that it does not know."""
    parse: Any = functools.partial(
        tyro.cli,
        Command,
        prog="jaxdiscrete",
        description=_DESCRIPTION,
        config=PARSER,
    )
    if lenient:
        command, options = parse(args=args, return_unknown_args=True)
        return command, options
    return parse(args=args), []
