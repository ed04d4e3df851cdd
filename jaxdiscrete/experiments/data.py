"""The 8 x 8 handwritten digits that come with scikit-learn, binarised."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn import datasets

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings import Data

IMAGE_SHAPE = (8, 8)
NUM_PIXELS = 64


class Digits(NamedTuple):
    """Binary images as rows of float32."""

    train: np.ndarray
    test: np.ndarray


def load_digits(settings: Data) -> Digits:
    """Loads, binarises, shuffles and splits the digits.

    Args:
      settings: threshold, size of the test set, seed of the split.

    Returns:
      The two parts; the same ones for the same settings, whatever the run's seed.

    Raises:
      UsageError: if the test set would leave nothing to train on.
    """
    pixels = datasets.load_digits().data
    if settings.num_test >= len(pixels):
        raise UsageError(
            f"Expected data.num_test < {len(pixels)}, the number of digits, got "
            f"{settings.num_test}. Lower it."
        )
    binary = (pixels > settings.threshold).astype(np.float32)
    # Neighbours in the file share a writer: without the shuffle the test set would
    # hold hands that the training set never shows.
    order = np.random.default_rng(settings.split_seed).permutation(len(binary))
    test, train = np.split(binary[order], [settings.num_test])
    return Digits(train, test)
