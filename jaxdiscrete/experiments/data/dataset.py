"""Data sets: the facts that are known before their files are read, and images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiscrete.experiments.data.binarization import Binarizer
from jaxdiscrete.experiments.data.sources import Source

#: Training, validation and test part.
Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


class Splits(NamedTuple):
    """Training, validation and test images, ``[n, pixels]`` in C order."""

    images: Parts
    labels: Parts | None
    """From 0; None where the set has none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetInfo:
    """One data set, of images or of anything else, before its files are read."""

    name: str
    """The name by which a configuration asks for it."""
    title: str
    """The name in reports."""
    source: Source | None = None
    """The origin of its files; None for a set that a package brings along."""
    sizes: tuple[int, ...] = ()
    """Examples to train, to validate and to test; none for a set without examples."""

    @property
    def description(self) -> str:
        """One example in a few words."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetInfo(SetInfo):
    """One data set of images before its files are read."""

    image_shape: tuple[int, int]
    """Height and width."""
    binarizations: tuple[str, ...]
    """The allowed ones; the first is the default."""
    read: Callable[[tuple[Path, ...], Binarizer], Splits]
    """From files to splits."""

    @property
    def description(self) -> str:
        """The size of an image, and how it becomes binary."""
        height, width = self.image_shape
        return f"{height} x {width} pixels, {', '.join(self.binarizations)}"


class Dataset(NamedTuple):
    """Images as rows of uint8, in C order."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    image_shape: tuple[int, int]
    is_grey: bool
    """0 to 255, of a pixel's ink or of the probability of a one; else 0 and 1."""
    train_labels: np.ndarray | None
    valid_labels: np.ndarray | None
    test_labels: np.ndarray | None
    """int32 from 0; None where the set has none."""
    title: str
    """The name in reports."""


def split_end(array: np.ndarray, num_last: int) -> tuple[np.ndarray, np.ndarray]:
    """The first entries, and the last ``num_last`` ones."""
    return array[:-num_last], array[-num_last:]


def shuffled_subset(images: np.ndarray, num: int | None, seed: int = 0) -> np.ndarray:
    """Some of the images, the same ones every time.

    The first ones would not do: several test sets are sorted by class.

    Args:
      images: ``[n, ...]``.
      num: their number, at least 1; None for all.
      seed: decides which ones. Default: 0.

    Returns:
      ``[num, ...]`` in random order; all of them in their own order if there are
      no more than ``num``.
    """
    if num is None or num >= len(images):
        return images
    return images[np.random.default_rng(seed).permutation(len(images))[:num]]
