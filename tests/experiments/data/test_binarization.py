"""Grey values to zeros and ones."""

import numpy as np

from jaxdiscrete.experiments.data.binarization import make_binarizer


def test_fixed_draws_are_those_of_one_seed_across_arrays():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2500, 3)), rng.integers(0, 256, (7, 3))
    binarize = make_binarizer("fixed")
    drawn = np.concatenate([binarize(one, white=255), binarize(other, white=255)])
    uniforms = np.random.RandomState(5).rand(2507, 3)
    expected = uniforms < np.concatenate([one, other]) / 255
    np.testing.assert_array_equal(drawn, expected)


def test_threshold_is_more_than_half():
    binarize = make_binarizer("threshold")
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    assert binarize(grey, white=255).tolist() == [[0, 0, 1, 1]]
    assert binarize(np.array([[0.5, 0.51]]), white=1).tolist() == [[0, 1]]


def test_grey_values_stay_from_0_to_255():
    binarize = make_binarizer("none")
    assert binarize(np.array([[0, 7, 255]], np.uint8), white=255).tolist() == [
        [0, 7, 255]
    ]
    assert binarize(np.array([[0.0, 8.0, 16.0]]), white=16).tolist() == [[0, 128, 255]]
