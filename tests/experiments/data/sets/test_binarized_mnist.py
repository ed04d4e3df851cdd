"""Binarised MNIST, packed and as published."""

import hashlib

import numpy as np

from jaxdiscrete.experiments.data.dataset import shuffled_subset
from jaxdiscrete.experiments.data.load import DATASETS
from tests.experiments.data.helpers import load


def test_the_first_test_images_would_be_of_one_class(real_data):
    real_data("binarized_mnist")
    test = load("binarized_mnist").test
    ink = test.mean(1)
    # Zeros have more ink than the average digit.
    assert ink[:500].mean() > 1.15 * ink.mean()
    assert abs(shuffled_subset(ink, 500).mean() / ink.mean() - 1) < 0.05


def test_packed_and_published_binarized_mnist_are_the_same(
    real_data, tmp_path, monkeypatch
):
    real_data("binarized_mnist")
    packed = load("binarized_mnist")
    published = DATASETS["binarized_mnist"].source.variants[-1]
    (tmp_path / "binarized_mnist").mkdir()
    for images, file in zip(packed[:3], published, strict=True):
        text = np.full((*images.shape, 2), ord(" "), np.uint8)
        text[..., 0] = images + ord("0")
        text[:, -1, 1] = ord("\n")
        assert text.nbytes == file.size
        digest = hashlib.sha256(text.tobytes()).hexdigest()
        assert f"sha256:{digest}" == file.checksum
        (tmp_path / file.path).write_bytes(text.tobytes())
    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path))
    for a, b in zip(load("binarized_mnist")[:3], packed[:3], strict=True):
        np.testing.assert_array_equal(a, b)
