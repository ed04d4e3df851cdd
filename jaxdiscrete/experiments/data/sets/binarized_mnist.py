"""MNIST as Salakhutdinov and Murray drew it, in the splits of Larochelle's files.

The test images are sorted by class.
"""

from __future__ import annotations

from pathlib import Path

from jaxdiscrete.experiments.data.binarization import Binarizer
from jaxdiscrete.experiments.data.dataset import DatasetInfo, Splits
from jaxdiscrete.experiments.data.readers import read_amat, read_npz, unpack_bits
from jaxdiscrete.experiments.data.sources import Source, files_at

_PIXELS = 28 * 28

# np.packbits of the text files below, 48 times smaller, which nobody serves.
_PACKED = files_at(
    "binarized_mnist",
    (),
    {
        "binarized_mnist_packbits.npz": (
            "sha256:50de2c8299a5a297789293ab2c30f6fc3cb8c359a15e5e88d5501aa18ebb8fa5",
            2_295_919,
        ),
    },
)

_TEXT = files_at(
    "binarized_mnist",
    (
        "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
        "https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    ),
    {
        "binarized_mnist_train.amat": (
            "sha256:ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
            78_400_000,
        ),
        "binarized_mnist_valid.amat": (
            "sha256:1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
            15_680_000,
        ),
        "binarized_mnist_test.amat": (
            "sha256:e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
            15_680_000,
        ),
    },
)


def read(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """Reads the packed file, or the three text files."""
    if len(paths) == 1:
        packed = read_npz(paths[0], ("train", "valid", "test"))
        parts = [unpack_bits(part, _PIXELS) for part in packed]
    else:
        parts = [read_amat(path, _PIXELS) for path in paths]
    train, valid, test = (binarize(part, white=1) for part in parts)
    return Splits((train, valid, test), None)


INFO = DatasetInfo(
    name="binarized_mnist",
    title="MNIST, fixed binarisation (Larochelle)",
    image_shape=(28, 28),
    sizes=(50_000, 10_000, 10_000),
    binarizations=("published",),
    read=read,
    source=Source(
        (_PACKED, _TEXT),
        "derived from MNIST",
        "Salakhutdinov & Murray, ICML 2008; files of H. Larochelle",
    ),
)
