"""The silhouettes of Caltech-101 in their published splits, objects as ones."""

from __future__ import annotations

from pathlib import Path

from jaxdiscrete.experiments.data.binarization import Binarizer
from jaxdiscrete.experiments.data.dataset import DatasetInfo, Splits
from jaxdiscrete.experiments.data.readers import read_mat, rows_from_columns
from jaxdiscrete.experiments.data.sources import Source, files_at

_SIDE = 28

_FILES = files_at(
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


def read(paths: tuple[Path, ...], binarize: Binarizer) -> Splits:
    """Reads the file of the split, in which the background is one."""
    parts = ("train", "val", "test")
    names = [f"{part}_data" for part in parts] + [f"{part}_labels" for part in parts]
    content = read_mat(paths[0], names)
    train, valid, test = (
        binarize(1 - rows_from_columns(data, _SIDE), white=1) for data in content[:3]
    )
    label_train, label_valid, label_test = (c.ravel() - 1 for c in content[3:])
    return Splits((train, valid, test), (label_train, label_valid, label_test))


INFO = DatasetInfo(
    name="caltech101_silhouettes",
    title="Caltech-101 silhouettes",
    image_shape=(_SIDE, _SIDE),
    sizes=(4100, 2264, 2307),
    binarizations=("published",),
    read=read,
    source=Source(
        (_FILES,),
        "none stated; derived from Caltech-101 (CC BY 4.0)",
        "Marlin, Swersky, Chen & de Freitas, AISTATS 2010",
    ),
)
