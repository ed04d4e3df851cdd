"""``jaxdiscrete reproduce``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console
from tyro.conf import Positional

from jaxdiscrete.experiments.commands.overrides import Overrides
from jaxdiscrete.experiments.config.shipped import CONFIGS
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.tables import to_rich
from jaxdiscrete.experiments.report.render import write_report
from jaxdiscrete.experiments.report.tables import claims
from jaxdiscrete.experiments.reproduce.results import write_summary
from jaxdiscrete.experiments.reproduce.run import find_experiments, run


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Run what a paper's configurations lack, and report it beside the paper.

    The papers or files come first; any setting that their runs share can follow as an
    option.
    """

    files: Positional[tuple[str, ...]] = ()
    """Papers (rebar), experiments (rebar/mnist_nonlinear) or TOML files."""
    short: bool = False
    """Run the length that fits minutes instead of the full one."""
    only: tuple[str, ...] = ()
    """Names of runs; what is claimed of the others is left out. Default: all."""
    configs: Path = CONFIGS
    """Folder of the configurations and of the published numbers."""
    output_dir: Path = Path("runs/reproduce")
    """Folder of the runs and of report.html and report.md."""
    summaries: Path | None = None
    """Folder in which a small JSON summary per experiment is kept."""

    def run(self, screen: Console, overrides: Overrides) -> None:
        """Runs and reports."""
        if not self.files:
            raise UsageError(
                "Expected a paper, an experiment or a file, got none. For instance: "
                "jaxdiscrete reproduce rebar --short"
            )
        found = [
            path
            for target in self.files
            for path in find_experiments(target, self.configs)
        ]
        results = [
            run(
                path,
                self.output_dir,
                self.configs,
                screen,
                short=self.short,
                only=self.only,
                change=overrides.apply,
                options=overrides.options,
            )
            for path in dict.fromkeys(found)
        ]
        if self.summaries is not None:
            for result in results:
                write_summary(self.summaries, result)
        write_report(self.output_dir, results)
        screen.print(to_rich(claims(results)))
        screen.print(f"Report in {self.output_dir / 'report.html'}")
