"""Models that are trained once, kept by the hash of their settings, and begun with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from rich.console import Console

from jaxdiscrete.experiments.output import codec, kept, lock
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.output.records import RunSummary
from jaxdiscrete.experiments.settings.fields import flatten
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import checkpoints, step
from jaxdiscrete.experiments.training.settings import Config
from jaxdiscrete.experiments.training.task import Params

Train = Callable[[Config, Path, Console], RunSummary]


def run_folder(config: Config) -> Path:
    """Where the run of a configuration is kept, whoever asks for it.

    Args:
      config: of the run.

    Returns:
      A folder named by the task and by the hash of all settings.
    """
    settings = json.dumps(codec.to_plain(config), sort_keys=True)
    digest = hashlib.sha256(settings.encode(), usedforsecurity=False).hexdigest()
    return kept.kept_folder() / f"{config.model.task}-{digest[:16]}"


def find_or_train(
    config: Config, screen: Console, train: Train
) -> tuple[Params, RunSummary]:
    """A model that is read if it is there, and else trained, or trained to its end.

    Two processes that ask for the same one train it once: the second one waits.

    Args:
      config: of the run.
      screen: where progress is shown.
      train: trains a configuration in a folder, or goes on with what is there.

    Returns:
      The parameters of the model, on the host, and the summary of its run.

    Raises:
      UsageError: if the folder cannot be used, or as ``train``.
      RunError: as ``train``.
    """
    place = run_folder(config)
    # A killed process holds nothing.
    with lock.waited_for(kept.open_kept() / f".{place.name}.lock"):
        summary = finished(place, config)
        if summary is None:
            screen.print(f"{config.model.task}: trained once, kept in {place}")
            summary = train(config, place, screen)
    task = make_task(config)
    state = checkpoints.restore(place, jax.eval_shape(lambda: step.init(task)))
    return jax.tree.map(np.asarray, state.params["model"]), summary


def finished(place: Path, config: Config) -> RunSummary | None:
    """The summary of a run that is finished and had these settings.

    Args:
      place: folder of the run.
      config: the settings.

    Returns:
      The summary, or None.
    """
    try:
        text = (place / files.CONFIG_FILE).read_text(encoding="utf-8")
        before = flatten(json.loads(text))
        summary = codec.read(place / files.SUMMARY_FILE, RunSummary)
    except (OSError, ValueError):
        return None
    return summary if before == flatten(config) else None
