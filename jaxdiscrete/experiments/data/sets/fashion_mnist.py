"""Fashion-MNIST, which has the format of MNIST."""

from __future__ import annotations

from jaxdiscrete.experiments.data.dataset import DatasetInfo
from jaxdiscrete.experiments.data.sets.mnist import read
from jaxdiscrete.experiments.data.sources import Source, files_at

_FILES = files_at(
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

INFO = DatasetInfo(
    name="fashion_mnist",
    title="Fashion-MNIST",
    image_shape=(28, 28),
    sizes=(50_000, 10_000, 10_000),
    binarizations=("dynamic", "fixed", "threshold", "none"),
    read=read,
    source=Source((_FILES,), "MIT", "Xiao, Rasul & Vollgraf, arXiv:1708.07747"),
)
