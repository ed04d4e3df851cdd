"""From the files of each set to its training, validation and test images."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn import datasets

from jaxdiscrete.experiments.data.binarization import Binarizer
from jaxdiscrete.experiments.data.readers import (
    read_amat,
    read_drawings,
    read_idx,
    read_mat,
    read_npz,
    unpack_bits,
)

_SIDE = 28
_PIXELS = _SIDE * _SIDE
_NUM_DIGITS_TEST = 297
_NUM_DIGITS_VALID = 150
_DIGITS_SEED = 0
_NUM_MNIST_VALID = 10_000
#: Both as in the IWAE and the REBAR code.
_NUM_OMNIGLOT_VALID = 1345
_OMNIGLOT_SEED = 123
_NUM_DRAWERS = 20
_NUM_TRAIN_DRAWERS = 15

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


class Splits(NamedTuple):
    """Training, validation and test images, ``[n, pixels]`` in C order."""

    images: Parts
    labels: Parts | None
    """From 0; None where the set has none."""


def read_digits(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """The digits of scikit-learn, shuffled.

    Args:
      paths: none.
      binarize: for values of 0 to 16.

    Returns:
      1350, 150 and 297 digits of 8 x 8.
    """
    digits = datasets.load_digits()
    # Neighbours in the file share a writer: without the shuffle the test set would
    # hold hands that the training set never shows.
    order = np.random.default_rng(_DIGITS_SEED).permutation(len(digits.data))
    ends = [_NUM_DIGITS_TEST, _NUM_DIGITS_TEST + _NUM_DIGITS_VALID]
    images = binarize(digits.data, white=16, threshold=7.5)[order]
    test, valid, train = np.split(images, ends)
    label_test, label_valid, label_train = np.split(digits.target[order], ends)
    return Splits((train, valid, test), (label_train, label_valid, label_test))


def read_mnist(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """MNIST, or what has its format.

    Args:
      paths: images and labels to train, images and labels to test.
      binarize: for values of 0 to 255.

    Returns:
      The last 10,000 training images validate.
    """
    pool, pool_labels, test, test_labels = (read_idx(path) for path in paths)
    images = [binarize(i.reshape(-1, _PIXELS), white=255) for i in (pool, test)]
    train, valid = _split_end(images[0], _NUM_MNIST_VALID)
    label_train, label_valid = _split_end(pool_labels, _NUM_MNIST_VALID)
    labels = (label_train, label_valid, test_labels)
    return Splits((train, valid, images[1]), labels)


def read_binarized_mnist(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """MNIST as Salakhutdinov and Murray drew it.

    Args:
      paths: the packed file, or the three text files.
      binarize: leaves it as it is.

    Returns:
      The published splits; the test images are sorted by class.
    """
    if len(paths) == 1:
        packed = read_npz(paths[0], ("train", "valid", "test"))
        parts = [unpack_bits(part, _PIXELS) for part in packed]
    else:
        parts = [read_amat(path, _PIXELS) for path in paths]
    train, valid, test = (binarize(part, white=1) for part in parts)
    return Splits((train, valid, test), None)


def read_omniglot(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """The file of the IWAE code, which several papers use.

    Args:
      paths: ``chardata.mat``.
      binarize: for values of 0 to 1.

    Returns:
      Drawn before the shuffle and split after it, as in the REBAR code.
    """
    pool, test = (
        binarize(_transpose(data.T.astype(np.float32)), white=1)
        for data in read_mat(paths[0], ("data", "testdata"))
    )
    train, valid = _split_end(pool[_omniglot_order(len(pool))], _NUM_OMNIGLOT_VALID)
    return Splits((train, valid, test), None)


def read_omniglot_28(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """Omniglot made small from the original drawings.

    Args:
      paths: the small images, or the two zips of original ones.
      binarize: for values of 0 to 255.

    Returns:
      Fifteen drawers of every character to train and validate, five to test; the
      labels are the characters.
    """
    if len(paths) == 1:
        (drawings,) = read_npz(paths[0], ("images",))
    else:
        drawings = np.concatenate(
            [read_drawings(path, _SIDE, _NUM_DRAWERS) for path in paths]
        )
    labels = np.repeat(np.arange(len(drawings))[:, None], _NUM_DRAWERS, axis=1)
    by_drawer = np.s_[:, :_NUM_TRAIN_DRAWERS], np.s_[:, _NUM_TRAIN_DRAWERS:]
    pool, test = (
        binarize(drawings[part].reshape(-1, _PIXELS), white=255) for part in by_drawer
    )
    pool_labels, test_labels = (labels[part].ravel() for part in by_drawer)
    order = _omniglot_order(len(pool))
    train, valid = _split_end(pool[order], _NUM_OMNIGLOT_VALID)
    label_train, label_valid = _split_end(pool_labels[order], _NUM_OMNIGLOT_VALID)
    return Splits((train, valid, test), (label_train, label_valid, test_labels))


def read_silhouettes(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """The silhouettes of Caltech-101, objects as ones.

    Args:
      paths: the file of the split.
      binarize: leaves it as it is.

    Returns:
      The published splits; in the file the background is one.
    """
    parts = ("train", "val", "test")
    names = [f"{part}_data" for part in parts] + [f"{part}_labels" for part in parts]
    content = read_mat(paths[0], names)
    train, valid, test = (
        binarize(1 - _transpose(data), white=1) for data in content[:3]
    )
    label_train, label_valid, label_test = (c.ravel() - 1 for c in content[3:])
    return Splits((train, valid, test), (label_train, label_valid, label_test))


def _split_end(array: np.ndarray, num_last: int) -> tuple[np.ndarray, np.ndarray]:
    return array[:-num_last], array[-num_last:]


def _omniglot_order(num: int) -> np.ndarray:
    return np.random.RandomState(_OMNIGLOT_SEED).permutation(num)


def _transpose(columns: np.ndarray) -> np.ndarray:
    # MATLAB stores an image column by column.
    return columns.reshape(-1, _SIDE, _SIDE).transpose(0, 2, 1).reshape(-1, _PIXELS)
