"""Where every file comes from, and the checksum that it must have.

The paths are those inside the data folder. A set may be stored in several ways: the
first one of which all files are there is used, and the last one is downloaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class DataFile:
    """One file, as its authors published it."""

    path: str
    """Inside the data folder, with forward slashes."""
    checksum: str
    """``"sha256:..."`` of the file, or ``"git-blob:..."``, its id in a git tree."""
    size: int | None = None
    """In bytes; None where nobody published it."""
    mirrors: tuple[str, ...] = ()
    """Addresses, tried in this order; none for a file that nobody serves."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The files of one set, in every way in which they can be stored."""

    variants: tuple[tuple[DataFile, ...], ...]
    """Each enough on its own; the last one can be downloaded."""
    licence: str
    """What the authors say, for one line of a report."""
    citation: str
    """Whom to cite."""


def _files(
    folder: str, mirrors: Sequence[str], table: dict[str, tuple[str, int | None]]
) -> tuple[DataFile, ...]:
    return tuple(
        DataFile(f"{folder}/{name}", checksum, size, tuple(m + name for m in mirrors))
        for name, (checksum, size) in table.items()
    )


_MNIST = _files(
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

_FASHION_MNIST = _files(
    "fashion_mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    {
        "train-images-idx3-ubyte.gz": (
            "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            26_421_880,
        ),
        "train-labels-idx1-ubyte.gz": (
            "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            29_515,
        ),
        "t10k-images-idx3-ubyte.gz": (
            "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            4_422_102,
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            5_148,
        ),
    },
)

# np.packbits of the text files below, 48 times smaller, which nobody serves.
_PACKED_BINARIZED_MNIST = _files(
    "binarized_mnist",
    (),
    {
        "binarized_mnist_packbits.npz": (
            "sha256:50de2c8299a5a297789293ab2c30f6fc3cb8c359a15e5e88d5501aa18ebb8fa5",
            2_295_919,
        ),
    },
)

_BINARIZED_MNIST = _files(
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

_OMNIGLOT = _files(
    "omniglot",
    (
        "https://github.com/yburda/iwae/raw/"
        "78a6075484bd7dd6f47a4bb9880d2295bc7a5220/datasets/OMNIGLOT/",
        "https://raw.githubusercontent.com/yburda/iwae/"
        "78a6075484bd7dd6f47a4bb9880d2295bc7a5220/datasets/OMNIGLOT/",
    ),
    {"chardata.mat": ("git-blob:016a3536ffe5e1d38e42563a18d7a78bfaf643ec", None)},
)

# The drawings below at 28 x 28, ready for use, which nobody serves.
_SMALL_OMNIGLOT = _files(
    "omniglot",
    (),
    {
        "omniglot_28x28_box_uint8.npz": (
            "sha256:03b96522f897cc1cfe7facb8ffe89402c6fd60c445418313b9e65700f2358194",
            3_009_122,
        ),
    },
)

_OMNIGLOT_DRAWINGS = _files(
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

_CALTECH101_SILHOUETTES = _files(
    "caltech101_silhouettes",
    (
        "https://people.cs.umass.edu/~marlin/data/",
        "https://github.com/YingzhenLi/vae_renyi_divergence/raw/"
        "5df877dd78410d90a523c22846b01ff0c6a3a424/data/silhouettes/",
    ),
    {
        "caltech101_silhouettes_28_split1.mat": (
            "sha256:eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a",
            872_124,
        ),
    },
)

#: Of every set that is not part of scikit-learn.
SOURCES: dict[str, Source] = {
    "mnist": Source(
        (_MNIST,),
        "usually stated as CC BY-SA 3.0",
        "LeCun, Cortes & Burges, The MNIST database of handwritten digits",
    ),
    "binarized_mnist": Source(
        (_PACKED_BINARIZED_MNIST, _BINARIZED_MNIST),
        "derived from MNIST",
        "Salakhutdinov & Murray, ICML 2008; files of H. Larochelle",
    ),
    "fashion_mnist": Source(
        (_FASHION_MNIST,), "MIT", "Xiao, Rasul & Vollgraf, arXiv:1708.07747"
    ),
    "omniglot": Source(
        (_OMNIGLOT,),
        "derived from Omniglot (MIT)",
        "Lake, Salakhutdinov & Tenenbaum, Science 2015; file of Burda, Grosse & "
        "Salakhutdinov, arXiv:1509.00519",
    ),
    "omniglot_28": Source(
        (_SMALL_OMNIGLOT, _OMNIGLOT_DRAWINGS),
        "MIT, (c) 2015 Brenden Lake",
        "Lake, Salakhutdinov & Tenenbaum, Science 2015",
    ),
    "caltech101_silhouettes": Source(
        (_CALTECH101_SILHOUETTES,),
        "none stated; derived from Caltech-101 (CC BY 4.0)",
        "Marlin, Swersky, Chen & de Freitas, AISTATS 2010",
    ),
}
