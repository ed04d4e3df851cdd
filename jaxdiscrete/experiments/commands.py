"""The commands: arguments, the files they name, and what they print."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from tyro.conf import Positional

from jaxdiscrete.experiments import console, relaxation_study, runs
from jaxdiscrete.experiments.config import check, load_config
from jaxdiscrete.experiments.errors import ExperimentError, UsageError
from jaxdiscrete.experiments.settings import Config, StudyConfig

# What --help shows where no file was given.
CONFIG = Config()
STUDY = StudyConfig()


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a discrete autoencoder with one estimator.

    The configuration file comes first; any of its settings can follow as an option.
    """

    config_file: Positional[Path]
    """TOML file, for instance configs/digits/rebar.toml."""
    config: Annotated[Config, tyro.conf.arg(name="")] = CONFIG
    output_dir: Path | None = None
    """Folder of the run. Default: runs/ and the name of the file."""
    resume: bool = False
    """Continue the run in the folder, bit for bit."""
    overwrite: bool = False
    """Replace the run in the folder."""

    def run(self, screen: Console) -> None:
        """Trains and prints the results."""
        check(self.config)
        folder = self.output_dir or Path("runs") / self.config_file.stem
        summary = runs.train(
            self.config,
            folder,
            screen,
            resume=self.resume,
            overwrite=self.overwrite,
        )
        screen.print(console.results_table([summary]))
        screen.print(f"Results in {folder}")


@dataclasses.dataclass(frozen=True)
class Compare:
    """Train several estimators on one model, seed and schedule."""

    config_files: Positional[tuple[Path, ...]]
    """TOML files that differ in their estimator only."""
    output_dir: Path = Path("runs/compare")
    """Folder of the comparison, with a folder a run."""
    seed: int | None = None
    """Seed of every run. Default: that of the files."""
    resume: bool = False
    """Continue the runs that are there, and start the others."""
    overwrite: bool = False
    """Replace the comparison in the folder."""

    def run(self, screen: Console) -> None:
        """Trains each in turn and prints one table."""
        configs: dict[str, Config] = {}
        for path in self.config_files:
            if path.stem in configs:
                raise UsageError(
                    f"Expected configuration files of different names, got {path.stem} "
                    "twice. Rename one: the name is the run's folder."
                )
            config = load_config(path, Config)
            if self.seed is not None:
                config = dataclasses.replace(config, seed=self.seed)
            check(config)
            configs[path.stem] = config
        if not configs:
            raise UsageError(
                "Expected at least one configuration file, got none. For instance: "
                "jaxdiscrete compare configs/digits/*.toml"
            )
        summaries = runs.compare(
            configs,
            self.output_dir,
            screen,
            resume=self.resume,
            overwrite=self.overwrite,
        )
        screen.print(console.results_table(summaries))
        screen.print(f"Results in {self.output_dir}")


@dataclasses.dataclass(frozen=True)
class Relaxation:
    """Compare estimators with an exact gradient, against temperature.

    The configuration file comes first; any of its settings can follow as an option.
    """

    config_file: Positional[Path]
    """TOML file, for instance configs/talk/cos.toml."""
    config: Annotated[StudyConfig, tyro.conf.arg(name="")] = STUDY
    output_dir: Path | None = None
    """Folder of the study. Default: runs/ and the name of the file."""
    overwrite: bool = False
    """Replace the study in the folder."""

    def run(self, screen: Console) -> None:
        """Runs the study and prints its table."""
        check(self.config)
        folder = self.output_dir or Path("runs") / self.config_file.stem
        study = relaxation_study.run(self.config, folder, overwrite=self.overwrite)
        gradient = ", ".join(f"{g:.5f}" for g in study["exact_gradient"])
        screen.print(f"Exact value {study['exact_value']:.5f}, gradient [{gradient}]")
        table = console.study_table(study["rows"], study["critical_temperature"])
        screen.print(table)
        screen.print(f"Results in {folder}")


def run(args: list[str]) -> int:
    """Parses the arguments and runs the command.

    Args:
      args: without the program's name.

    Returns:
      The exit code: 0, 1 for a run that failed, 2 for input that cannot be used.

    Raises:
      SystemExit: on --help, and with code 2 on arguments that cannot be parsed.
    """
    try:
        command = _parse(args)
        command.run(Console())
    except ExperimentError as error:
        print(f"jaxdiscrete: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parse(args: list[str]) -> Train | Compare | Relaxation:
    # The file's values are the defaults of the options, so that --help shows them
    # and an option overrides them: it is read before the options are.
    command, path, *_ = [*args, "", ""]
    is_given = bool(path) and not path.startswith("-")
    train = Train(tyro.MISSING)
    relaxation = Relaxation(tyro.MISSING)
    if command == "train" and is_given:
        train = Train(tyro.MISSING, load_config(Path(path), Config))
    elif command == "relaxation" and is_given:
        relaxation = Relaxation(tyro.MISSING, load_config(Path(path), StudyConfig))
    elif command in ("train", "relaxation") and "--help" not in args:
        raise UsageError(
            f"Expected a configuration file right after {command}, got "
            f"{path or 'nothing'}. For instance: jaxdiscrete {command} CONFIG.toml "
            "--seed 1"
        )
    subcommand = tyro.conf.subcommand
    commands = (
        Annotated[Train, subcommand("train", default=train, prefix_name=False)]
        | Annotated[Compare, subcommand("compare", prefix_name=False)]
        | Annotated[
            Relaxation, subcommand("relaxation", default=relaxation, prefix_name=False)
        ]
    )
    return tyro.cli(
        commands,
        args=args,
        prog="jaxdiscrete",
        description="Experiments with gradients through discrete randomness.",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
