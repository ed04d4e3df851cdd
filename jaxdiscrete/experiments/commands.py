"""The commands: arguments, the files they name, and what they print."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from tyro.conf import Positional

import jaxdiscrete
from jaxdiscrete.experiments import (
    console,
    data,
    files,
    gradient_meter,
    placement,
    relaxation_study,
    report,
    reproduce,
    runs,
    sweep,
    trajectory,
)
from jaxdiscrete.experiments.config import check, load_config, load_runs
from jaxdiscrete.experiments.errors import ExperimentError, UsageError
from jaxdiscrete.experiments.settings import Config, StudyConfig

# What --help shows where no file was given.
CONFIG = Config()
STUDY = StudyConfig()
#: Where a clone of the repository has its configurations.
CONFIGS = Path("configs")


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a model with one estimator.

    The configuration file comes first; any of its settings can follow as an option.
    """

    config_file: Positional[Path]
    """TOML file, for instance configs/digits/rebar.toml."""
    config: Annotated[Config, tyro.conf.arg(name="")] = CONFIG
    only: str | None = None
    """Which of the file's estimators, if it has several."""
    output_dir: Path | None = None
    """Folder of the run. Default: runs/ and the name of file or estimator."""
    resume: bool = False
    """Continue the run in the folder, bit for bit."""
    overwrite: bool = False
    """Replace the run in the folder."""
    mesh: str | None = None
    """data=N splits every batch over N devices. Default: one device."""
    distributed: bool = False
    """Join the processes of a cluster, started with the same arguments."""
    coordinator: str | None = None
    """HOST:PORT of the first process, where the cluster does not tell."""
    num_processes: int | None = None
    """How many there are, likewise."""
    process_id: int | None = None
    """Which one this is, from 0, likewise."""

    def run(self, screen: Console) -> None:
        """Trains and prints the results."""
        check(self.config)
        if self.coordinator is not None and not self.distributed:
            raise UsageError(
                "Expected --distributed with --coordinator, got it alone. Add it."
            )
        place = (
            placement.ONE_DEVICE
            if self.mesh is None
            else placement.parse_mesh(self.mesh)
        )
        if not place.is_writer:
            screen = Console(quiet=True)
        folder = self.output_dir or _default_folder(self.config_file, self.only)
        summary = runs.train(
            self.config,
            folder,
            screen,
            resume=self.resume,
            overwrite=self.overwrite,
            placement=place,
        )
        screen.print(console.results_table([summary]))
        screen.print(f"Results in {folder}")


@dataclasses.dataclass(frozen=True)
class Compare:
    """Train several estimators on one model, seed and schedule."""

    config_files: Positional[tuple[Path, ...]]
    """TOML files that differ in their estimator only, or one with several."""
    output_dir: Path = Path("runs/compare")
    """Folder of the comparison, with a folder a run."""
    seed: int | None = None
    """Seed of every run. Default: that of the files."""
    shared_trajectory: str | None = None
    """Measure the variance of all along the trajectory of this one instead."""
    num_seeds: int = 1
    """Trajectories, for standard errors."""
    num_steps: int | None = None
    """Steps of every run. Default: those of the files."""
    resume: bool = False
    """Continue the runs that are there, and start the others."""
    overwrite: bool = False
    """Replace the comparison in the folder."""

    def run(self, screen: Console) -> None:
        """Trains each in turn and prints one table."""
        configs = self._configs()
        if self.shared_trajectory is not None:
            self._measure(configs, self.shared_trajectory, screen)
            return
        summaries = runs.compare(
            configs,
            self.output_dir,
            screen,
            resume=self.resume,
            overwrite=self.overwrite,
        )
        screen.print(console.results_table(summaries))
        screen.print(f"Results in {self.output_dir}")

    def _configs(self) -> dict[str, Config]:
        configs: dict[str, Config] = {}
        for path in self.config_files:
            for name, config in load_runs(path).items():
                if name in configs:
                    raise UsageError(
                        f"Expected estimators of different names, got {name} twice. "
                        "Rename one: the name is the run's folder."
                    )
                if self.seed is not None:
                    config = dataclasses.replace(config, seed=self.seed)
                if self.num_steps is not None:
                    training = dataclasses.replace(
                        config.training, num_steps=self.num_steps
                    )
                    config = dataclasses.replace(config, training=training)
                check(config)
                configs[name] = config
        if not configs:
            raise UsageError(
                "Expected at least one configuration file, got none. For instance: "
                "jaxdiscrete compare configs/digits/*.toml"
            )
        return configs

    def _measure(
        self, configs: dict[str, Config], driver: str, screen: Console
    ) -> None:
        if driver not in configs:
            raise UsageError(
                f"Expected --shared-trajectory among {', '.join(configs)}, got "
                f"{driver!r}. Name the estimator that trains the model."
            )
        measured = trajectory.compare(
            configs,
            driver,
            self.num_seeds,
            self.output_dir,
            screen,
            overwrite=self.overwrite,
        )
        screen.print(console.trajectory_table(measured))
        screen.print(f"Results in {self.output_dir}")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Train seeds and settings of one configuration in one compiled program."""

    config_file: Positional[Path]
    """TOML file."""
    seeds: int = 1
    """How many, from the configured one on."""
    grid: tuple[str, ...] = ()
    """KEY=NUMBER,NUMBER for numbers of optimizer and estimator."""
    only: str | None = None
    """Which of the file's estimators, if it has several."""
    output_dir: Path | None = None
    """Folder of the sweep. Default: runs/ and the name of the file and sweep."""
    num_steps: int | None = None
    """Steps of every run. Default: those of the file."""
    overwrite: bool = False
    """Replace the sweep in the folder."""

    def run(self, screen: Console) -> None:
        """Trains them together and prints one table."""
        config = _choose(self.config_file, self.only)
        if self.num_steps is not None:
            training = dataclasses.replace(config.training, num_steps=self.num_steps)
            config = dataclasses.replace(config, training=training)
        check(config)
        if self.seeds < 1:
            raise UsageError(f"Expected --seeds >= 1, got {self.seeds}. Raise it.")
        grid = sweep.parse_grid(config, self.grid)
        folder = self.output_dir or Path("runs") / f"{self.config_file.stem}-sweep"
        rows = sweep.run(
            config,
            sweep.points(config, self.seeds, grid),
            folder,
            screen,
            overwrite=self.overwrite,
        )
        screen.print(console.sweep_table(rows))
        screen.print(f"Results in {folder}")


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Run what a paper's configurations lack, and report it beside the paper."""

    targets: Positional[tuple[str, ...]]
    """Papers (rebar), experiments (rebar/mnist_nonlinear) or TOML files."""
    short: bool = False
    """The length that fits minutes instead of the full one."""
    configs: Path = CONFIGS
    """Folder of the configurations and of the published numbers."""
    output_dir: Path = Path("runs/reproduce")
    """Folder of the runs and of report.html and report.md."""
    summaries: Path | None = None
    """Folder in which a small JSON summary an experiment is kept."""

    def run(self, screen: Console) -> None:
        """Runs and reports."""
        if not self.targets:
            raise UsageError(
                "Expected a paper, an experiment or a file, got none. For instance: "
                "jaxdiscrete reproduce rebar --short"
            )
        found = [
            path
            for target in self.targets
            for path in reproduce.find_experiments(target, self.configs)
        ]
        results = [
            reproduce.run(path, self.output_dir, self.configs, screen, short=self.short)
            for path in dict.fromkeys(found)
        ]
        if self.summaries is not None:
            for result in results:
                reproduce.write_summary(self.summaries, result)
        report.write_report(self.output_dir, results)
        screen.print(console.claims_table(results))
        screen.print(f"Report in {self.output_dir / 'report.html'}")


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


@dataclasses.dataclass(frozen=True)
class Measure:
    """Measure bias, variance and cost of estimators at the end of a run."""

    config_file: Positional[Path]
    """TOML file that the run was trained with."""
    estimators: str = ""
    """NAME,NAME of others, with default settings and nothing trained."""
    only: str | None = None
    """Which of the file's estimators, if it has several."""
    run_dir: Path | None = None
    """Folder of the run. Default: where train put it."""
    num_images: int = 10
    """Validation images, the same ones every time."""
    num_samples: int = 1000
    """Gradients of every estimator."""
    output: Path | None = None
    """JSON file. Default: measurement.json in the folder of the run."""

    def run(self, screen: Console) -> None:
        """Measures and prints one table."""
        config = _choose(self.config_file, self.only)
        check(config)
        folder = self.run_dir or _default_folder(self.config_file, self.only)
        path = self.output or folder / "measurement.json"
        if self.output is not None and not path.parent.is_dir():
            raise UsageError(
                f"Expected --output in a folder that is there, got {path}. Create "
                f"{path.parent} first."
            )
        names = [name for name in self.estimators.split(",") if name]
        measured = gradient_meter.measure(
            config,
            folder,
            names,
            num_images=self.num_images,
            num_samples=self.num_samples,
        )
        screen.print(f"Encoder of {folder}, {self.num_images} validation images")
        screen.print(measured)
        files.write_json(path, measured.to_dict())
        screen.print(f"Results in {path}")


@dataclasses.dataclass(frozen=True)
class DataList:
    """Show the data sets, and which are on this machine."""

    def run(self, screen: Console) -> None:
        """Prints one table."""
        data.describe(screen)


@dataclasses.dataclass(frozen=True)
class DataFetch:
    """Download data sets and check them."""

    names: Positional[tuple[str, ...]] = ()
    """Which. Default: all."""

    def run(self, screen: Console) -> None:
        """Downloads what is missing or damaged."""
        data.fetch(self.names or tuple(data.DATASETS), screen)


@dataclasses.dataclass(frozen=True)
class DataVerify:
    """Check the data sets on this machine against their checksums."""

    names: Positional[tuple[str, ...]] = ()
    """Which. Default: all."""

    def run(self, screen: Console) -> None:
        """Reads every file once."""
        data.verify(self.names or tuple(data.DATASETS), screen)


Data = (
    Annotated[DataList, tyro.conf.subcommand("list", prefix_name=False)]
    | Annotated[DataFetch, tyro.conf.subcommand("fetch", prefix_name=False)]
    | Annotated[DataVerify, tyro.conf.subcommand("verify", prefix_name=False)]
)


@dataclasses.dataclass(frozen=True)
class DataCommand:
    """List, download and check data sets."""

    command: Annotated[Data, tyro.conf.arg(name="")]

    def run(self, screen: Console) -> None:
        """Runs the command below."""
        self.command.run(screen)


Command = Train | Compare | Sweep | Reproduce | Relaxation | Measure | DataCommand


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
        if args[:1] == ["train"] and "--distributed" in args:
            # Before the file is read: checking its schedules computes, and processes
            # cannot be joined any more after that.
            _join(args)
        command = _parse(args)
        command.run(Console())
    except ExperimentError as error:
        print(f"jaxdiscrete: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _default_folder(path: Path, only: str | None) -> Path:
    """Where train puts a run."""
    return Path("runs") / (path.stem if only is None else f"{path.stem}-{only}")


def _choose(path: Path, only: str | None) -> Config:
    """One of a file's runs."""
    configs = load_runs(path)
    if only is None and len(configs) == 1:
        return next(iter(configs.values()))
    if only not in configs:
        raise UsageError(
            f"Expected --only among {', '.join(configs)}, the estimators in {path}, "
            f"got {only or 'none'}. Choose one, or compare them all."
        )
    return configs[only]


def _join(args: list[str]) -> None:
    names = ("--num-processes", "--process-id")
    texts = [_option(args, name) for name in names]
    for name, text in zip(names, texts, strict=True):
        if text is not None and not text.isdecimal():
            raise UsageError(
                f"Expected {name} to be a number of processes or of one from 0, got "
                f"{text!r}. Correct it."
            )
    numbers = [None if text is None else int(text) for text in texts]
    placement.join(_option(args, "--coordinator"), *numbers)


def _option(args: list[str], name: str) -> str | None:
    """The value of an option that decides what the others are."""
    for arg, after in zip(args, [*args[1:], ""], strict=True):
        if arg == name:
            return after
        if arg.startswith(f"{name}="):
            return arg.partition("=")[2]
    return None


def _parse(args: list[str]) -> Command:
    # The file's values are the defaults of the options, so that --help shows them
    # and an option overrides them: it is read before the options are.
    command, path, *_ = [*args, "", ""]
    is_given = bool(path) and not path.startswith("-")
    train = Train(tyro.MISSING)
    relaxation = Relaxation(tyro.MISSING)
    if command == "train" and is_given:
        train = Train(tyro.MISSING, _choose(Path(path), _option(args, "--only")))
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
        | Annotated[Sweep, subcommand("sweep", prefix_name=False)]
        | Annotated[Reproduce, subcommand("reproduce", prefix_name=False)]
        | Annotated[
            Relaxation, subcommand("relaxation", default=relaxation, prefix_name=False)
        ]
        | Annotated[Measure, subcommand("measure", prefix_name=False)]
        | Annotated[DataCommand, subcommand("data", prefix_name=False)]
    )
    return tyro.cli(
        commands,
        args=args,
        prog="jaxdiscrete",
        description="Experiments with gradients through discrete randomness.",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
