"""MNIST in its original files; the last 10,000 training images validate."""

from __future__ import annotations

from pathlib import Path

from jaxdiscrete.experiments.data.binarization import Binarizer
from jaxdiscrete.experiments.data.dataset import DatasetInfo, Splits, split_end
from jaxdiscrete.experiments.data.readers import read_idx
from jaxdiscrete.experiments.data.sources import Source, files_at

_PIXELS = 28 * 28
_NUM_VALID = 10_000

_FILES = files_at(
    "mnist",
    (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    {
        "train-images-idx3-ubyte.gz": (
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            9_912_422,
        ),
        "train-labels-idx1-ubyte.gz": (
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            28_881,
        ),
        "t10k-images-idx3-ubyte.gz": (
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            1_648_877,
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            4_542,
        ),
    },
)


def read(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """Reads MNIST, or what has its format.

    Args:
      paths: images and labels to train, images and labels to test.
      binarize: for values of 0 to 255.
    """
    pool, pool_labels, test, test_labels = (read_idx(path) for path in paths)
    images = [binarize(i.reshape(-1, _PIXELS), white=255) for i in (pool, test)]
    train, valid = split_end(images[0], _NUM_VALID)
    label_train, label_valid = split_end(pool_labels, _NUM_VALID)
    labels = (label_train, label_valid, test_labels)
    return Splits((train, valid, images[1]), labels)


INFO = DatasetInfo(
    name="mnist",
    title="MNIST",
    image_shape=(28, 28),
    sizes=(50_000, 10_000, 10_000),
    binarizations=("dynamic", "fixed", "threshold", "none"),
    read=read,
    source=Source(
        (_FILES,),
        "usually stated as CC BY-SA 3.0",
        "LeCun, Cortes & Burges, The MNIST database of handwritten digits",
    ),
)
