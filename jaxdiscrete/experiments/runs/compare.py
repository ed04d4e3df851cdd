"""Several estimators side by side, on one model, seed and schedule."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import codec, figures, side_by_side
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.output.records import RunSummary
from jaxdiscrete.experiments.output.run_tables import rank
from jaxdiscrete.experiments.runs.train import train_or_continue
from jaxdiscrete.experiments.settings.fields import flatten
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training.settings import Config


def compare(
    configs: dict[str, Config],
    folder: Path,
    screen: Console,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> list[RunSummary]:
    """Trains several estimators in turn.

    Args:
      configs: by name; only their estimators may differ.
      folder: in which every run has a folder of its name.
      screen: where progress is shown.
      resume: keep and continue the runs that have a checkpoint. Default: no.
      overwrite: replace a comparison that is there. Default: no.

    Returns:
      The summaries, the best first, as in ``comparison.json``.

    Raises:
      UsageError: if other settings differ, or as :func:`train`.
      RunError: as :func:`train`.
    """
    check_comparable(configs)
    # What any of them cannot use is said before a folder is made and others train.
    for config in configs.values():
        make_task(config)
    settings = {name: dataclasses.asdict(config) for name, config in configs.items()}
    with files.open_folder(folder, settings, resume=resume, overwrite=overwrite):
        summaries = [
            train_or_continue(config, folder / name, screen)
            for name, config in configs.items()
        ]
        summaries.sort(key=lambda summary: rank(summary.metrics))
        last = max(summary.steps for summary in summaries)
        figures.save_curves(
            folder / "comparison.png",
            {s.run: files.read_metrics(folder / s.run, last) for s in summaries},
            f"{summaries[0].dataset}: estimators from best to worst",
        )
        folders = {s.run: folder / s.run for s in summaries}
        for path in sorted(next(iter(folders.values())).glob("*.npz")):
            side_by_side.join(path.stem, folders, folder)
        codec.write(folder / "comparison.json", summaries)
    return summaries


def check_comparable(configs: dict[str, Config]) -> None:
    """Raises unless only the estimators of several configurations differ.

    Args:
      configs: by name.

    Raises:
      UsageError: naming the setting.
    """
    (first, reference), *others = configs.items()
    expected = flatten(reference)
    for name, config in others:
        got = flatten(config)
        # Schedules differ in their keys, too.
        for key in sorted(expected.keys() | got.keys()):
            if not key.startswith("estimator.") and got.get(key) != expected.get(key):
                raise UsageError(
                    f"Expected {key} = {expected.get(key)!r} in every compared "
                    f"configuration, as in {first}, got {got.get(key)!r} in {name}. "
                    "Only the estimators may differ."
                )
