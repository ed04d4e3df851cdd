"""Omniglot in the file of the IWAE code, which several papers use."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxdiscrete.experiments.data.binarization import Binarizer
from jaxdiscrete.experiments.data.dataset import DatasetInfo, Splits, split_end
from jaxdiscrete.experiments.data.readers import read_mat, rows_from_columns
from jaxdiscrete.experiments.data.sources import Source, files_at

_SIDE = 28
#: Both as in the IWAE and the REBAR code.
NUM_VALID = 1345
_SEED = 123

_FILES = files_at(
    "omniglot",
    (
        "https://github.com/yburda/iwae/raw/"
        "78a6075484bd7dd6f47a4bb9880d2295bc7a5220/datasets/OMNIGLOT/",
        "https://raw.githubusercontent.com/yburda/iwae/"
        "78a6075484bd7dd6f47a4bb9880d2295bc7a5220/datasets/OMNIGLOT/",
    ),
    {"chardata.mat": ("git-blob:016a3536ffe5e1d38e42563a18d7a78bfaf643ec", None)},
)


def shuffled(num: int) -> np.ndarray:
    """The order in which the training images are split."""
    return np.random.RandomState(_SEED).permutation(num)


def read(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """Draws before the shuffle and splits after it, as the REBAR code does."""
    pool, test = (
        binarize(rows_from_columns(data.T.astype(np.float32), _SIDE), white=1)
        for data in read_mat(paths[0], ("data", "testdata"))
    )
    train, valid = split_end(pool[shuffled(len(pool))], NUM_VALID)
    return Splits((train, valid, test), None)


INFO = DatasetInfo(
    name="omniglot",
    title="Omniglot (IWAE)",
    image_shape=(_SIDE, _SIDE),
    sizes=(23_000, 1345, 8070),
    binarizations=("fixed", "dynamic", "threshold"),
    read=read,
    source=Source(
        (_FILES,),
        "derived from Omniglot (MIT)",
        "Lake, Salakhutdinov & Tenenbaum, Science 2015; file of Burda, Grosse & "
        "Salakhutdinov, arXiv:1509.00519",
    ),
)
