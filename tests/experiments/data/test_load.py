"""Every set by its name: its splits, its orientation, its ones and zeros."""

import pkgutil

import numpy as np
import pytest

from jaxdiscrete.experiments.data import sets
from jaxdiscrete.experiments.data.binarization import GREY
from jaxdiscrete.experiments.data.dataset import DatasetInfo
from jaxdiscrete.experiments.data.load import DATASETS
from jaxdiscrete.experiments.errors import UsageError
from tests.experiments.data.helpers import load

IMAGES = {n: info for n, info in DATASETS.items() if isinstance(info, DatasetInfo)}
CASES = [(name, kind) for name, i in IMAGES.items() for kind in i.binarizations]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_set_is_what_the_table_says(name, kind, real_data):
    real_data(name)
    info, data = DATASETS[name], load(name, kind)
    height, width = info.image_shape
    assert data.image_shape == info.image_shape
    assert data.is_grey == (kind in GREY)
    assert data.title.startswith(info.title)
    labels = (data.train_labels, data.valid_labels, data.test_labels)
    for images, label, size in zip(data[:3], labels, info.sizes, strict=True):
        assert images.shape == (size, height * width)
        assert images.dtype == np.uint8
        assert images.flags.c_contiguous
        assert images.min() == 0
        assert images.max() == (255 if data.is_grey else 1)
        # An image without ink, or of nothing but ink, is one that was read wrongly.
        assert 0.03 < images.mean() / images.max() < 0.6
        if label is not None:
            assert label.shape == (size,)
            assert label.dtype == np.int32
    assert len({label is None for label in labels}) == 1
    if data.train_labels is not None:
        assert data.train_labels.min() == 0
    assert load(name).title == load(name, info.binarizations[0]).title


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_set_is_the_same_every_time(name, kind, real_data):
    real_data(name)
    one, other = load(name, kind), load(name, kind)
    for a, b in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(a, b)


def test_unknown_names_list_the_choices():
    with pytest.raises(UsageError, match=r"among .*, mnist, .*, got 'minst'"):
        load("minst")
    with pytest.raises(UsageError, match=r"among binarized_mnist, .* got 'agreement'"):
        load("agreement")
    expected = "binarization of digits among threshold, dynamic, none, got 'fixed'"
    with pytest.raises(UsageError, match=expected):
        load("digits", "fixed")


def test_a_set_has_the_name_of_its_module():
    assert list(DATASETS) == sorted(m.name for m in pkgutil.iter_modules(sets.__path__))


def test_the_table_is_complete():
    assert DATASETS["digits"].source is None
    for source in [info.source for info in DATASETS.values() if info.source]:
        assert source.licence
        assert source.citation
        for file in source.variants[-1]:
            assert len(file.mirrors) >= 2
            assert all(m.endswith(file.path.split("/")[1]) for m in file.mirrors)
        for file in sum(source.variants, ()):
            method, _, digits = file.checksum.partition(":")
            assert len(bytes.fromhex(digits)) == {"sha256": 32, "git-blob": 20}[method]
