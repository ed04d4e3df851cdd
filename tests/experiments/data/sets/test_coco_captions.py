"""Captions, of two files that are mixed, and files that are something else."""

import numpy as np
import pytest

from jaxdiscrete.experiments.data.load import DATASETS
from jaxdiscrete.experiments.data.text import load_text
from jaxdiscrete.experiments.errors import UsageError

INFO = DATASETS["coco_captions"]


def test_captions_of_both_files_are_in_every_part(real_data):
    real_data("coco_captions")
    text = load_text(INFO, 2000, 20)
    parts = dict(zip(("train", "valid", "test"), text[:3], strict=True))
    sizes = [len(part) for part in parts.values()]
    assert sizes == [12_412, 2_483, 4_976]
    assert text.title == (
        "COCO captions, 2,000 words, 19,871 of 20,000 sentences, of at most 20 words"
    )
    for rows in parts.values():
        assert rows.shape[1] == 21
        assert (rows[:, -1] == 0).all()
        for word in ("bathroom", "skateboard"):
            share = (rows == text.words.index(word)).any(1).mean()
            assert 0.03 < share < 0.1
        # What is not in the vocabulary stays rare.
        assert (rows == 1).sum() / (rows > 0).sum() < 0.05
    again = load_text(INFO, 2000, 20)
    np.testing.assert_array_equal(text.train, again.train)


def test_a_line_that_is_too_long_is_named(store, tmp_path):
    good, long = tmp_path / "a.txt", tmp_path / "b.txt"
    good.write_text("a dog\na cat\n")
    long.write_text("a dog\n" + "cat " * 101 + "\n")
    store("coco_captions", good, long)
    with pytest.raises(
        UsageError, match=r"b\.txt to be lines of at most 400 .*404 characters in line"
    ):
        load_text(DATASETS["coco_captions"], 5, 20)
    long.write_bytes(b"\xff\xfe\n")
    store("coco_captions", good, long)
    with pytest.raises(UsageError, match=r"b\.txt to be lines of at most 400 char"):
        load_text(DATASETS["coco_captions"], 5, 20)
    long.write_text("a dog\n")
    with pytest.raises(UsageError, match=r"Expected .*b\.txt as it was published"):
        load_text(DATASETS["coco_captions"], 5, 20)
