"""``jaxdiscrete compare``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console
from tyro.conf import Positional

from jaxdiscrete.experiments.commands.overrides import Overrides
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.run_tables import results_table, trajectory_table
from jaxdiscrete.experiments.output.tables import to_rich
from jaxdiscrete.experiments.runs import compare, trajectory


@dataclasses.dataclass(frozen=True)
class Compare:
    """Train several estimators on one model, seed and schedule.

    The configurations come first; any setting that their runs share can follow as an
    option.
    """

    files: Positional[tuple[str, ...]] = ()
    """TOML files that differ in their estimator only, or one with several."""
    output_dir: Path = Path("runs/compare")
    """Folder of the comparison, with a folder per run."""
    shared_trajectory: str | None = None
    """Measure the variance of all along the trajectory of this one instead."""
    num_seeds: int = 1
    """Trajectories, for standard errors."""
    resume: bool = False
    """Continue the runs that are there, and start the others."""
    overwrite: bool = False
    """Replace the comparison in the folder."""

    def run(self, screen: Console, overrides: Overrides) -> None:
        """Trains each in turn and prints one table."""
        if not self.files:
            raise UsageError(
                "Expected at least one configuration file, got none. For instance: "
                "jaxdiscrete compare digits/rebar digits/nvil"
            )
        configs = overrides.runs(self.files)
        if self.shared_trajectory is None:
            summaries = compare.compare(
                configs,
                self.output_dir,
                screen,
                resume=self.resume,
                overwrite=self.overwrite,
            )
            screen.print(to_rich(results_table(summaries)))
        else:
            if self.shared_trajectory not in configs:
                raise UsageError(
                    f"Expected --shared-trajectory among {', '.join(configs)}, got "
                    f"{self.shared_trajectory!r}. Name the estimator that trains the "
                    "model."
                )
            measured = trajectory.compare(
                configs,
                self.shared_trajectory,
                self.num_seeds,
                self.output_dir,
                screen,
                overwrite=self.overwrite,
            )
            screen.print(to_rich(trajectory_table(measured)))
        screen.print(f"Results in {self.output_dir}")
