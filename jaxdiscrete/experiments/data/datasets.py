"""The sets of images that a run can train on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiscrete.experiments.data import splits
from jaxdiscrete.experiments.data.binarization import (
    BINARIZATIONS,
    Binarizer,
    make_binarizer,
)
from jaxdiscrete.experiments.data.download import ensure_files
from jaxdiscrete.experiments.data.sources import SOURCES
from jaxdiscrete.experiments.errors import UsageError


class Dataset(NamedTuple):
    """Images as rows of uint8, in C order."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    image_shape: tuple[int, int]
    is_grey: bool
    """0 to 255 times the probability of a one, for whoever draws; else 0 and 1."""
    train_labels: np.ndarray | None
    valid_labels: np.ndarray | None
    test_labels: np.ndarray | None
    """int32 from 0; None where the set has none."""
    title: str
    """For reports."""


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is known of a set before its files are read."""

    title: str
    """For reports."""
    image_shape: tuple[int, int]
    """Height and width."""
    sizes: tuple[int, int, int]
    """Images to train, to validate and to test."""
    binarizations: tuple[str, ...]
    """The allowed ones; the first is the default."""
    read: Callable[[tuple[Path, ...], Binarizer], splits.Splits]
    """From files to splits."""


#: Every set by its name.
DATASETS: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(
        "Digits (scikit-learn)",
        (8, 8),
        (1350, 150, 297),
        ("threshold", "dynamic"),
        splits.read_digits,
    ),
    "mnist": DatasetInfo(
        "MNIST",
        (28, 28),
        (50_000, 10_000, 10_000),
        ("dynamic", "fixed", "threshold"),
        splits.read_mnist,
    ),
    "binarized_mnist": DatasetInfo(
        "MNIST, fixed binarisation (Larochelle)",
        (28, 28),
        (50_000, 10_000, 10_000),
        ("published",),
        splits.read_binarized_mnist,
    ),
    "fashion_mnist": DatasetInfo(
        "Fashion-MNIST",
        (28, 28),
        (50_000, 10_000, 10_000),
        ("dynamic", "fixed", "threshold"),
        splits.read_mnist,
    ),
    "omniglot": DatasetInfo(
        "Omniglot (IWAE)",
        (28, 28),
        (23_000, 1345, 8070),
        ("fixed", "dynamic", "threshold"),
        splits.read_omniglot,
    ),
    "omniglot_28": DatasetInfo(
        "Omniglot-28 (re-made)",
        (28, 28),
        (23_000, 1345, 8115),
        ("fixed", "dynamic", "threshold"),
        splits.read_omniglot_28,
    ),
    "caltech101_silhouettes": DatasetInfo(
        "Caltech-101 silhouettes",
        (28, 28),
        (4100, 2264, 2307),
        ("published",),
        splits.read_silhouettes,
    ),
}


def load_dataset(name: str, binarization: str | None = None) -> Dataset:
    """Loads a set, after downloading what is not there yet.

    Args:
      name: a key of ``DATASETS``.
      binarization: ``"published"`` for a set that is binary already,
        ``"threshold"`` for a one where a pixel is more than half ink, ``"fixed"``
        for one draw with a fixed seed, ``"dynamic"`` for grey values from which the
        caller draws. Default: the first that the set allows.

    Returns:
      The set; the same one for the same arguments.

    Raises:
      UsageError: if there is no such set or binarization, or its files are damaged,
        or missing and cannot be downloaded.
    """
    info = find_dataset(name)
    kind = info.binarizations[0] if binarization is None else binarization
    if kind not in info.binarizations:
        raise UsageError(
            f"Expected a binarization of {name} among "
            f"{', '.join(info.binarizations)}, got {kind!r}. Choose one of them."
        )
    paths = ensure_files(name) if name in SOURCES else ()
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
        kind == "dynamic",
        of_train,
        of_valid,
        of_test,
        title,
    )


def find_dataset(name: str) -> DatasetInfo:
    """Looks a set up.

    Args:
      name: of the set.

    Returns:
      Its entry in ``DATASETS``.

    Raises:
      UsageError: if there is none, with the names that there are.
    """
    if name not in DATASETS:
        raise UsageError(
            f"Expected a data set among {', '.join(DATASETS)}, got {name!r}. Choose "
            "one of them."
        )
    return DATASETS[name]


def shuffled_subset(images: np.ndarray, num: int | None, seed: int = 0) -> np.ndarray:
    """Some of the images, the same ones every time.

    The first ones would not do: several test sets are sorted by class.

    Args:
      images: ``[n, ...]``.
      num: how many, at least 1; None for all.
      seed: which ones. Default: 0.

    Returns:
      ``[num, ...]`` in random order; all of them in their own order if there are
      no more than ``num``.
    """
    if num is None or num >= len(images):
        return images
    return images[np.random.default_rng(seed).permutation(len(images))[:num]]
