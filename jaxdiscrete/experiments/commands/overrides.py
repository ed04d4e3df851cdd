"""Files and options: which runs a command is about, and the one way to change them.

A command's files come first. Any setting of their runs can follow as an option, in
every command alike, with the file's values as defaults.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.config.load import load_runs
from jaxdiscrete.experiments.config.shipped import find_config
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.training.settings import Config

S = TypeVar("S")

#: The parsers' common options: a flag has no opposite.
PARSER = (tyro.conf.FlagCreatePairsOff,)


@dataclasses.dataclass(frozen=True)
class Overrides:
    """Options of a command line that are settings of its runs."""

    program: str
    options: tuple[str, ...] = ()

    def apply(self, settings: S) -> S:
        """Settings with the options' values.

        Args:
          settings: a dataclass, whose values are the defaults.

        Returns:
          A copy.

        Raises:
          SystemExit: with code 2, if it has no such setting or value.
        """
        return tyro.cli(
            type(settings),
            default=settings,
            args=self.options,
            prog=self.program,
            config=PARSER,
        )

    def runs(self, files: Sequence[str]) -> dict[str, Config]:
        """The runs of some files, with the options' values.

        Args:
          files: paths, or names of files that come with the project.

        Returns:
          Configurations by the run's name, checked.

        Raises:
          UsageError: if there is no file, one cannot be read, a value cannot be used,
            or two runs have one name.
          SystemExit: as :meth:`apply`.
        """
        runs: dict[str, Config] = {}
        for path in map(find_config, files):
            for name, config in load_runs(path).items():
                if name in runs:
                    raise UsageError(
                        f"Expected estimators of different names, got {name} twice. "
                        "Rename one: the name is the run's folder."
                    )
                changed = self.apply(config)
                check(changed)
                runs[name] = changed
        return runs

    def one_run(self, files: Sequence[str], only: str | None) -> Config:
        """The one run that a command is about.

        Args:
          files: one path or name.
          only: which of the file's estimators, if it has several.

        Returns:
          Its configuration, checked.

        Raises:
          UsageError: as :meth:`runs`, also if the choice is not one run.
          SystemExit: as :meth:`apply`.
        """
        path = one_file(files)
        runs = load_runs(path)
        if only is None and len(runs) == 1:
            only = next(iter(runs))
        if only not in runs:
            raise _no_such_run(path, only, runs)
        config = self.apply(runs[only])
        check(config)
        return config

    def show_help(self, command: Any) -> None:
        """Prints the options of a command, and the settings of its first run.

        Where there is no such run, nothing is printed.

        Args:
          command: whose ``files`` are paths or names.

        Raises:
          SystemExit: after printing.
        """
        try:
            runs = load_runs(find_config(command.files[0]))
        except UsageError:
            return
        only: str = getattr(command, "only", None) or ""
        config = runs.get(only, next(iter(runs.values())))
        both = dataclasses.make_dataclass(
            type(command).__name__,
            [
                ("command", Annotated[type(command), tyro.conf.arg(name="")]),
                ("settings", Annotated[Config, tyro.conf.arg(name="")]),
            ],
        )
        tyro.cli(
            both,
            default=both(command, config),
            args=["--help"],
            prog=self.program,
            description=inspect.getdoc(command),
            config=PARSER,
        )


def one_file(files: Sequence[str]) -> Path:
    """The file of a command that takes one.

    Args:
      files: as given.

    Returns:
      Its path.

    Raises:
      UsageError: if it is not one.
    """
    if len(files) != 1:
        got = " and ".join(files) or "nothing"
        raise UsageError(
            f"Expected a configuration file right after the command, got {got}. For "
            "instance: jaxdiscrete train digits/rebar --seed 1"
        )
    return find_config(files[0])


def default_folder(files: Sequence[str], only: str | None) -> Path:
    """Where train puts a run.

    Args:
      files: one path or name.
      only: which of the file's estimators, if it has several.

    Returns:
      A folder of ``runs``.
    """
    stem = one_file(files).stem
    return Path("runs") / (stem if only is None else f"{stem}-{only}")


def _no_such_run(path: Path | str, only: str | None, runs: Any) -> UsageError:
    return UsageError(
        f"Expected --only among {', '.join(runs)}, the estimators in {path}, got "
        f"{only or 'none'}. Choose one, or compare them all."
    )
