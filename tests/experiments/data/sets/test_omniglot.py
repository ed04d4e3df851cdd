"""Omniglot in the file of the IWAE code."""

import numpy as np
import pytest
import scipy.io

from tests.experiments.data.helpers import load


@pytest.mark.thorough
def test_omniglot_is_split_and_drawn_as_in_the_rebar_code(store, tmp_path):
    rng = np.random.default_rng(0)
    # A corner that is always ink tells rows from columns.
    raw = {"data": rng.random((784, 1400)), "testdata": rng.random((784, 30))}
    for columns in raw.values():
        columns[2] = 1
    path = tmp_path / "chardata.mat"
    scipy.io.savemat(path, raw)
    store("omniglot", path, method="git-blob")

    def reshape(data):
        data = data.T.astype("float32").reshape((-1, 28, 28))
        return data.reshape((-1, 28 * 28), order="F")

    train, test = reshape(raw["data"]), reshape(raw["testdata"])
    random = np.random.RandomState(5)
    ones = [random.rand(*part.shape) < part for part in (train, test)]
    order = np.random.RandomState(123).permutation(1400)
    fixed, grey = load("omniglot"), load("omniglot", "dynamic")
    np.testing.assert_array_equal(fixed.train, ones[0][order][:-1345])
    np.testing.assert_array_equal(fixed.valid, ones[0][order][-1345:])
    np.testing.assert_array_equal(fixed.test, ones[1])
    np.testing.assert_allclose(grey.valid / 255, train[order][-1345:], atol=0.0021)
    assert (grey.test.reshape(-1, 28, 28)[:, 2, 0] == 255).all()
    assert fixed.train_labels is None
