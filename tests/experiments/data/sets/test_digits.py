"""The digits of scikit-learn."""

import numpy as np
from sklearn import datasets as sklearn_datasets

from tests.experiments.data.helpers import load


def test_digits_keep_their_test_examples():
    pixels, target = sklearn_datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(1797)
    data, grey = load("digits"), load("digits", "dynamic")
    test, valid, train = np.split(pixels[order], [297, 447])
    for images, greys, expected in zip(
        data[:3], grey[:3], (train, valid, test), strict=True
    ):
        np.testing.assert_array_equal(images, expected > 7.5)
        np.testing.assert_array_equal(greys, np.rint(expected / 16 * 255))
    labels = (data.test_labels, data.valid_labels, data.train_labels)
    np.testing.assert_array_equal(np.concatenate(labels), target[order])
