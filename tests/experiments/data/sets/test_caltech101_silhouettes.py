"""Silhouettes: upright, objects as ones."""

import numpy as np
import scipy.io

from jaxdiscrete.experiments.data.load import DATASETS
from tests.experiments.data.helpers import load


def test_silhouettes_are_upright_objects_of_ones(real_data):
    folder = real_data("caltech101_silhouettes")
    (file,) = DATASETS["caltech101_silhouettes"].source.variants[0]
    content = scipy.io.loadmat(folder / file.path)
    data = load("caltech101_silhouettes")
    for images, part in zip(data[:3], ("train", "val", "test"), strict=True):
        raw = content[f"{part}_data"]
        for i in (0, len(raw) // 2, -1):
            np.testing.assert_array_equal(
                images[i].reshape(28, 28), 1 - raw[i].reshape(28, 28, order="F")
            )
    names = [str(cell.item()) for cell in content["classnames"][0]]
    labels = data.train_labels
    pyramids = data.train[labels == names.index("pyramid")].reshape(-1, 28, 28)
    assert pyramids[:, 14:].mean() > 1.5 * pyramids[:, :14].mean()
