"""``jaxdiscrete measure``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console
from tyro.conf import Positional

from jaxdiscrete.experiments.commands.overrides import Overrides, default_folder
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.folder import write_json
from jaxdiscrete.experiments.runs.measure import measure


@dataclasses.dataclass(frozen=True)
class Measure:
    """Measure bias, variance and cost of estimators at the end of a run.

    The configuration that the run was trained with comes first; the settings that it
    was trained with beside the file follow as options.
    """

    files: Positional[tuple[str, ...]] = ()
    """TOML file, or the name of one that comes along."""
    estimators: tuple[str, ...] = ()
    """Names of others, with default settings and nothing trained."""
    only: str | None = None
    """Name of one of the file's estimators, if it has several."""
    run_dir: Path | None = None
    """Folder of the run. Default: where train put it."""
    num_images: int = 10
    """Validation images, the same ones every time."""
    num_gradients: int = 1000
    """Gradients of every estimator."""
    output: Path | None = None
    """JSON file. Default: measurement.json in the folder of the run."""

    def run(self, screen: Console, overrides: Overrides) -> None:
        """Measures and prints one table."""
        config = overrides.one_run(self.files, self.only)
        folder = self.run_dir or default_folder(self.files, self.only)
        path = self.output or folder / "measurement.json"
        if self.output is not None and not path.parent.is_dir():
            raise UsageError(
                f"Expected --output in a folder that is there, got {path}. Create "
                f"{path.parent} first."
            )
        measured = measure(
            config,
            folder,
            self.estimators,
            num_images=self.num_images,
            num_gradients=self.num_gradients,
        )
        screen.print(f"Encoder of {folder}, {self.num_images} validation images")
        screen.print(measured)
        write_json(path, measured.to_dict())
        screen.print(f"Results in {path}")
