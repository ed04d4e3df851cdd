"""``jaxdiscrete sweep``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console
from tyro.conf import Positional

from jaxdiscrete.experiments.commands.overrides import Overrides, one_file
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.run_tables import sweep_table
from jaxdiscrete.experiments.output.tables import to_rich
from jaxdiscrete.experiments.runs import sweep

#: More would not fit into the memory of any device.
MAX_SEEDS = 10_000


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Train seeds and settings of one configuration in one compiled program.

    The configuration comes first; any of its settings can follow as an option.
    """

    files: Positional[tuple[str, ...]] = ()
    """TOML file, or the name of one that comes along."""
    num_seeds: int = 1
    """Seeds, from the configured one on."""
    grid: tuple[str, ...] = ()
    """KEY=NUMBER,NUMBER for numbers of optimizer and estimator."""
    only: str | None = None
    """Name of one of the file's estimators, if it has several."""
    output_dir: Path | None = None
    """Folder of the sweep. Default: runs/ and the name of the file and sweep."""
    overwrite: bool = False
    """Replace the sweep in the folder."""

    def run(self, screen: Console, overrides: Overrides) -> None:
        """Trains them together and prints one table."""
        config = overrides.one_run(self.files, self.only)
        if not 1 <= self.num_seeds <= MAX_SEEDS:
            raise UsageError(
                f"Expected --num-seeds between 1 and {MAX_SEEDS}, got "
                f"{self.num_seeds}. All of them are trained together."
            )
        grid = sweep.parse_grid(config, self.grid)
        stem = one_file(self.files).stem
        folder = self.output_dir or Path("runs") / f"{stem}-sweep"
        runs = sweep.run(
            config,
            sweep.points(config, self.num_seeds, grid),
            folder,
            screen,
            overwrite=self.overwrite,
        )
        screen.print(to_rich(sweep_table(runs)))
        screen.print(f"Results in {folder}")
