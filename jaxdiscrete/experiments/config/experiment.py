"""An experiment: the claim of a file, and the runs or the grid that check it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from jaxdiscrete.experiments.config.check import check
from jaxdiscrete.experiments.config.claims import Claim, ShortLength
from jaxdiscrete.experiments.config.grid import GridFile, MeasuredGrid
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.check import check_bounds
from jaxdiscrete.experiments.training.settings import Config

#: The name by which claims know the run that all others begin with.
START = "start"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One file of a paper: a claim, and the runs or the grid that check it."""

    claim: Claim
    short: ShortLength
    runs: dict[str, Config]
    grid: MeasuredGrid | None = None

    def at_length(self, *, short: bool) -> Experiment:
        """The same experiment at one of its two lengths.

        Args:
          short: which.

        Returns:
          A copy, which keeps what the short length says of seeds and trajectories.
        """
        if not short:
            return self
        runs = {name: _shortened(c, self.short) for name, c in self.runs.items()}
        return dataclasses.replace(self, runs=runs)

    def changed(self, change: Callable[[Any], Any]) -> Experiment:
        """The same experiment with other settings.

        Args:
          change: from the settings of a run, or of a file with a grid, to others.

        Returns:
          A copy, checked.

        Raises:
          UsageError: if a value cannot be used.
        """
        if self.grid is not None:
            settings = change(GridFile(self.grid.settings)).grid
            check_bounds(settings, "grid.")
            settings.check(self.grid.estimators)
            grid = dataclasses.replace(self.grid, settings=settings)
            return dataclasses.replace(self, grid=grid)
        runs = {name: change(c) for name, c in self.runs.items()}
        for config in runs.values():
            check(config)
        return dataclasses.replace(self, runs=runs)

    def restricted(self, only: tuple[str, ...]) -> Experiment:
        """The same experiment with some of its runs.

        Args:
          only: their names; none stands for all.

        Returns:
          A copy, with what is claimed of these runs alone.

        Raises:
          UsageError: if there is no such run.
        """
        if not only:
            return self
        for name in only:
            if name not in self.runs:
                known = ", ".join(self.runs) or "none, but a grid"
                raise UsageError(
                    f"Expected --only to name runs of the file, {known}, got {name!r}. "
                    "Correct it."
                )
        known_runs = {*only, START}
        claim = dataclasses.replace(
            self.claim,
            published=tuple(p for p in self.claim.published if p.run in known_runs),
            expectations=tuple(
                e
                for e in self.claim.expectations
                if not e.trajectory and known_runs.issuperset(e.runs)
            ),
        )
        # Along a shared trajectory runs are compared with one another.
        short = dataclasses.replace(
            self.short, runs=only, shared_trajectory="", trajectory_runs=()
        )
        runs = {name: self.runs[name] for name in only}
        return dataclasses.replace(self, claim=claim, short=short, runs=runs)

    @property
    def names(self) -> list[str]:
        """The names of the runs, and of the one that they begin with."""
        if self.grid is not None:
            return [*self.grid.runs]
        return [*self.runs, *([] if self.start is None else [START])]

    @property
    def start(self) -> Config | None:
        """The run that all others begin with, if there is one."""
        config = next(iter(self.runs.values()), None)
        return None if config is None else config.model.start(config)


def check_names(experiment: Experiment) -> None:
    """Checks that a claim is about runs that there are, and that can refute it.

    Args:
      experiment: of a file.

    Raises:
      UsageError: naming the run or the key.
    """
    claim, short, names = experiment.claim, experiment.short, experiment.names
    used = [p.run for p in claim.published] + [*short.runs, *short.trajectory_runs]
    for e in claim.expectations:
        used += e.runs
        in_range = (*e.within, *e.mean_within)
        # Without both sides there is nothing that could fail.
        if bool(e.lower) != bool(e.higher) or not (e.lower or in_range):
            raise UsageError(
                "Expected lower and higher, or within, in every claim.expectations, "
                f"got neither pair nor range for {e.text!r}. Name the runs."
            )
        if in_range and len(e.range) != 2:
            raise UsageError(
                "Expected range to be two numbers where claim.expectations has within, "
                f"got {list(e.range)}. Give the least and the largest value."
            )
        num_seeds = short.trajectory_seeds if e.trajectory else short.num_seeds
        if e.standard_errors and num_seeds < 2:
            raise UsageError(
                "Expected several seeds at the short length where claim.expectations "
                f"has standard_errors, got {num_seeds} for {e.text!r}. Raise "
                "short.num_seeds, or short.trajectory_seeds along a trajectory."
            )
        if e.from_step and not (e.trajectory and e.metric == "log_variance"):
            raise UsageError(
                "Expected trajectory = true and metric = 'log_variance' where "
                "claim.expectations has from_step, of which a curve is kept, got "
                f"neither or one for {e.text!r}. Set both."
            )
    if short.shared_trajectory:
        used.append(short.shared_trajectory)
    for name in used:
        if name not in names:
            raise UsageError(
                f"Expected runs of claim and short among {', '.join(names)}, got "
                f"{name!r}. Correct the name, or add its table under estimators."
            )
    for name, config in experiment.runs.items():
        block = config.training.steps_per_block
        if short.num_steps % block:
            raise UsageError(
                f"Expected short.num_steps to be a multiple of the steps_per_block "
                f"{block} of {name}, got {short.num_steps}. Change one of them."
            )
    followed = short.trajectory_runs or tuple(names)
    if short.shared_trajectory and short.shared_trajectory not in followed:
        raise UsageError(
            "Expected short.shared_trajectory among short.trajectory_runs, got "
            f"{short.shared_trajectory!r}. Add it there."
        )
    # Found only when they are compared, these would cost the hours of the runs.
    for e in claim.expectations:
        if e.trajectory and not short.shared_trajectory:
            raise UsageError(
                "Expected short.shared_trajectory where claim.expectations has "
                f"trajectory = true, got none for {e.text!r}. Name the run."
            )
        measured = followed if e.trajectory else short.runs or tuple(names)
        if experiment.start is not None:
            measured += (START,)
        for name in e.runs:
            if name not in measured:
                raise UsageError(
                    "Expected runs of claim.expectations among those that are measured "
                    f"at the short length, {', '.join(measured)}, got {name!r}. "
                    "Correct the name, or add it in short."
                )


def _shortened(config: Config, short: ShortLength) -> Config:
    """A run at its short length."""
    evaluation = dataclasses.replace(
        config.evaluation,
        num_final_examples=config.evaluation.num_examples,
        num_test_examples=short.num_test_examples,
        num_samples=short.num_samples,
    )
    shortened = dataclasses.replace(config, evaluation=evaluation)
    return shortened.with_steps(short.num_steps)
