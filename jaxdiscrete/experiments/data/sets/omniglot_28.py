"""Omniglot made small from the original drawings.

Fifteen drawers of every character train and validate, five test; the labels are the
characters.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxdiscrete.experiments.data.binarization import Binarizer
from jaxdiscrete.experiments.data.dataset import DatasetInfo, Splits, split_end
from jaxdiscrete.experiments.data.readers import read_drawings, read_npz
from jaxdiscrete.experiments.data.sets.omniglot import NUM_VALID, shuffled
from jaxdiscrete.experiments.data.sources import Source, files_at

_SIDE = 28
_PIXELS = _SIDE * _SIDE
_NUM_DRAWERS = 20
_NUM_TRAIN_DRAWERS = 15

# The drawings below at 28 x 28, ready for use, which nobody serves.
_SMALL = files_at(
    "omniglot",
    (),
    {
        "omniglot_28x28_box_uint8.npz": (
            "sha256:03b96522f897cc1cfe7facb8ffe89402c6fd60c445418313b9e65700f2358194",
            3_009_122,
        ),
    },
)

_DRAWINGS = files_at(
    "omniglot",
    (
        "https://github.com/brendenlake/omniglot/raw/master/python/",
        "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
    ),
    {
        "images_background.zip": (
            "sha256:ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
            9_464_212,
        ),
        "images_evaluation.zip": (
            "sha256:1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
            6_462_886,
        ),
    },
)


def read(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """Reads the small images, or the two zips of original ones."""
    if len(paths) == 1:
        (drawings,) = read_npz(paths[0], ("images",))
    else:
        drawings = np.concatenate(
            [read_drawings(path, _SIDE, _NUM_DRAWERS) for path in paths]
        )
    labels = np.repeat(np.arange(len(drawings))[:, None], _NUM_DRAWERS, axis=1)
    by_drawer = np.s_[:, :_NUM_TRAIN_DRAWERS], np.s_[:, _NUM_TRAIN_DRAWERS:]
    pool, test = (
        binarize(drawings[part].reshape(-1, _PIXELS), white=255) for part in by_drawer
    )
    pool_labels, test_labels = (labels[part].ravel() for part in by_drawer)
    order = shuffled(len(pool))
    train, valid = split_end(pool[order], NUM_VALID)
    label_train, label_valid = split_end(pool_labels[order], NUM_VALID)
    return Splits((train, valid, test), (label_train, label_valid, test_labels))


INFO = DatasetInfo(
    name="omniglot_28",
    title="Omniglot-28 (re-made)",
    image_shape=(_SIDE, _SIDE),
    sizes=(23_000, 1345, 8115),
    binarizations=("fixed", "dynamic", "threshold"),
    read=read,
    source=Source(
        (_SMALL, _DRAWINGS),
        "MIT, (c) 2015 Brenden Lake",
        "Lake, Salakhutdinov & Tenenbaum, Science 2015",
    ),
)
