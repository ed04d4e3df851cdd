"""The digits of scikit-learn, 8 x 8, which need no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn import datasets

from jaxdiscrete.experiments.data.binarization import Binarizer
from jaxdiscrete.experiments.data.dataset import DatasetInfo, Splits

_NUM_TEST = 297
_NUM_VALID = 150
_SEED = 0


def read(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """Shuffled, 1350 to train, 150 to validate and 297 to test."""
    del paths
    digits = datasets.load_digits()
    # Neighbours in the file share a writer: without the shuffle the test set would
    # hold hands that the training set never shows.
    order = np.random.default_rng(_SEED).permutation(len(digits.data))
    ends = [_NUM_TEST, _NUM_TEST + _NUM_VALID]
    images = binarize(digits.data, white=16, threshold=7.5)[order]
    test, valid, train = np.split(images, ends)
    label_test, label_valid, label_train = np.split(digits.target[order], ends)
    return Splits((train, valid, test), (label_train, label_valid, label_test))


INFO = DatasetInfo(
    name="digits",
    title="Digits (scikit-learn)",
    image_shape=(8, 8),
    sizes=(1350, 150, 297),
    binarizations=("threshold", "dynamic", "none"),
    read=read,
)
