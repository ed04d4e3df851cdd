"""MNIST, and Fashion-MNIST in the same format."""

import numpy as np
import pytest

from tests.experiments.data.helpers import load


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_images_and_labels_of_mnist_fit(name, real_data):
    real_data(name)
    data = load(name)
    means = np.stack([data.train[data.train_labels == c].mean(0) for c in range(10)])
    distance = np.linalg.norm(data.test[:, None] - means, axis=2)
    # Nearest class means are right for 82 % and 68 %; without the labels for 10 %.
    assert (distance.argmin(1) == data.test_labels).mean() > 0.6
    upright = means[1].reshape(28, 28)
    # The digit one, and trousers, are higher than wide.
    assert (upright.sum(1) > 300).sum() > 1.3 * (upright.sum(0) > 300).sum()
