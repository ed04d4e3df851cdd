"""Every data set by its name, and how one is loaded."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TypeVar

import numpy as np

from jaxdiscrete.experiments.data import sets
from jaxdiscrete.experiments.data.binarization import (
    BINARIZATIONS,
    GREY,
    make_binarizer,
)
from jaxdiscrete.experiments.data.dataset import Dataset, DatasetInfo, SetInfo
from jaxdiscrete.experiments.data.download import ensure_files
from jaxdiscrete.experiments.data.settings import Data
from jaxdiscrete.experiments.errors import UsageError


def _find_sets() -> dict[str, SetInfo]:
    """A module in ``sets`` is all that a data set needs."""
    modules = sorted(module.name for module in pkgutil.iter_modules(sets.__path__))
    found = [importlib.import_module(f"{sets.__name__}.{m}").INFO for m in modules]
    return {info.name: info for info in found}


#: Every set by its name.
DATASETS: dict[str, SetInfo] = _find_sets()


S = TypeVar("S", bound=SetInfo)


def find_dataset(name: str, kind: type[S]) -> S:
    """Looks a set up.

    Args:
      name: of the set.
      kind: the class of sets that will do: :class:`SetInfo` for all.

    Returns:
      The set.

    Raises:
      UsageError: if there is none, with the names that there are.
    """
    found = {name: info for name, info in DATASETS.items() if isinstance(info, kind)}
    if name not in found:
        raise UsageError(
            f"Expected a data set among {', '.join(found)}, got {name!r}. Choose "
            "one of them."
        )
    return found[name]


def load_dataset(choice: Data) -> Dataset:
    """Loads a set, after downloading what is not there yet.

    Args:
      choice: the set's name, and a binarization: ``"published"`` for a set that is
        binary already, ``"threshold"`` for a one where a pixel is more than half
        ink, ``"fixed"`` for one draw with a fixed seed, ``"dynamic"`` for grey values
        from which the caller draws, ``"none"`` for grey values as they are, None for
        the first that the set allows.

    Returns:
      The set; the same one for the same choice.

    Raises:
      UsageError: if there is no such set or binarization, or its files are damaged,
        or missing and cannot be downloaded.
    """
    info = find_dataset(choice.name, DatasetInfo)
    kind = choice.binarization
    if kind is None:
        kind = info.binarizations[0]
    if kind not in info.binarizations:
        raise UsageError(
            f"Expected a binarization of {info.name} among "
            f"{', '.join(info.binarizations)}, got {kind!r}. Choose one of them."
        )
    paths = ensure_files(info)
    images, labels = info.read(paths, make_binarizer(kind))
    train, valid, test = (np.ascontiguousarray(part) for part in images)
    if labels is None:
        of_train = of_valid = of_test = None
    else:
        of_train, of_valid, of_test = (part.astype(np.int32) for part in labels)
    title = info.title
    if kind != "published":
        title += f", {BINARIZATIONS[kind]}"
    return Dataset(
        train,
        valid,
        test,
        info.image_shape,
        kind in GREY,
        of_train,
        of_valid,
        of_test,
        title,
    )
