"""Omniglot from the original drawings."""

import itertools

import numpy as np
import pytest

from jaxdiscrete.experiments.data.load import DATASETS
from tests.experiments.data.helpers import load, write_drawings


def test_small_omniglot_splits_by_drawer(real_data):
    folder = real_data("omniglot_28")
    (file,) = DATASETS["omniglot_28"].source.variants[0]
    with np.load(folder / file.path, allow_pickle=False) as content:
        images = content["images"].reshape(1623, 20, 784)
    data = load("omniglot_28", "dynamic")
    np.testing.assert_array_equal(data.test, images[:, 15:].reshape(-1, 784))
    np.testing.assert_array_equal(data.test_labels, np.repeat(np.arange(1623), 5))
    order = np.random.RandomState(123).permutation(24345)
    both = np.concatenate([data.train, data.valid])
    np.testing.assert_array_equal(both, images[:, :15].reshape(-1, 784)[order])
    labels = np.concatenate([data.train_labels, data.valid_labels])
    np.testing.assert_array_equal(labels, order // 15)


@pytest.mark.thorough
def test_drawings_and_small_omniglot_are_the_same(store, tmp_path):
    rng = np.random.default_rng(0)
    ink = rng.integers(0, 2, (100, 20, 28, 28), np.uint8)
    ink[:, :, 20:] = 0
    small = tmp_path / "small.npz"
    np.savez(small, images=ink * 255)
    store("omniglot_28", small)
    expected = load("omniglot_28")
    zips = [tmp_path / "a.zip", tmp_path / "b.zip"]
    for path, first in zip(zips, (0, 60), strict=True):
        characters = range(first, 60 if first == 0 else 100)
        write_drawings(path, ink, list(itertools.product(characters, range(20))), rng)
    store("omniglot_28", *zips)
    data = load("omniglot_28")
    for a, b in zip(data[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(data.valid_labels, expected.valid_labels)
