"""``jaxdiscrete train``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console
from tyro.conf import Positional

from jaxdiscrete.experiments.commands.overrides import Overrides, default_folder
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.run_tables import results_table
from jaxdiscrete.experiments.output.tables import to_rich
from jaxdiscrete.experiments.runs.train import train
from jaxdiscrete.experiments.training import placement


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a model with one estimator.

    The configuration comes first; any of its settings can follow as an option.
    """

    files: Positional[tuple[str, ...]] = ()
    """TOML file, or the name of one that comes along, for instance digits/rebar."""
    only: str | None = None
    """Name of one of the file's estimators, if it has several."""
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
    """Number of processes, where the cluster does not tell."""
    process_id: int | None = None
    """Number of this process, from 0, where the cluster does not tell."""

    def run(self, screen: Console, overrides: Overrides) -> None:
        """Trains and prints the results."""
        config = overrides.one_run(self.files, self.only)
        if self.distributed:
            # Before anything is computed: processes cannot be joined after that.
            placement.join(self.coordinator, self.num_processes, self.process_id)
        elif self.coordinator is not None:
            raise UsageError(
                "Expected --distributed with --coordinator, got it alone. Add it."
            )
        place = placement.ONE_DEVICE
        if self.mesh is not None:
            place = placement.parse_mesh(self.mesh)
        if not place.is_writer:
            screen = Console(quiet=True)
        folder = self.output_dir or default_folder(self.files, self.only)
        summary = train(
            config,
            folder,
            screen,
            resume=self.resume,
            overwrite=self.overwrite,
            placement=place,
        )
        screen.print(to_rich(results_table([summary])))
        screen.print(f"Results in {folder}")
