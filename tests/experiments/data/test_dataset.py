"""Subsets of images."""

import numpy as np

from jaxdiscrete.experiments.data.dataset import shuffled_subset


def test_a_subset_is_random_fixed_and_a_prefix_of_a_larger_one():
    images = np.arange(100).reshape(50, 2)
    few, more = shuffled_subset(images, 10), shuffled_subset(images, 20)
    np.testing.assert_array_equal(few, more[:10])
    assert len({tuple(row) for row in more}) == 20
    assert few[:, 0].max() > 60
    assert (shuffled_subset(images, 10, seed=1) != few).any()
    assert shuffled_subset(images, None) is images
    assert shuffled_subset(images, 50) is images
