"""Captions of images, in the two files of a benchmark of text generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxdiscrete.experiments.data.readers import read_lines
from jaxdiscrete.experiments.data.sources import DataFile, Source
from jaxdiscrete.experiments.data.text import Sentences, TextInfo, split_words

_NUM_TEST = 5_000
_NUM_VALID = 2_500
_SEED = 0
#: The longest line has 180.
_MAX_CHARACTERS = 400

_COMMIT = "3104e22ac75f3cc2070da2bf5e2da6d2bef149ad"
_HOMES = (
    f"https://raw.githubusercontent.com/geek-ai/Texygen/{_COMMIT}/data/",
    f"https://github.com/geek-ai/Texygen/raw/{_COMMIT}/data/",
)
_FILES = (
    DataFile(
        "text/image_coco.txt",
        "sha256:2c0fd1f0f43aac6a9dc3926a535516ccf395de535e15ac1fd17cd569420736f5",
        546_442,
        tuple(f"{home}image_coco.txt" for home in _HOMES),
    ),
    DataFile(
        "text/test_coco.txt",
        "sha256:72e25c9fb4d2cd43182ac602c92f6ffc377762147f9709572943b0b09174bcae",
        536_184,
        tuple(f"{home}testdata/test_coco.txt" for home in _HOMES),
    ),
)


def read(paths: tuple[Path, ...]) -> tuple[Sentences, Sentences, Sentences]:
    """Both files together, shuffled: their subjects differ.

    "bathroom" stands 1564 times in the one that is called training data and 5 times in
    the other, so that a model of the first would be judged by what it never saw.
    """
    lines = [line for path in paths for line in read_lines(path, _MAX_CHARACTERS)]
    order = np.random.default_rng(_SEED).permutation(len(lines))
    sentences = [split_words(lines[i]) for i in order]
    ends = _NUM_TEST, _NUM_TEST + _NUM_VALID
    return sentences[ends[1] :], sentences[ends[0] : ends[1]], sentences[: ends[0]]


INFO = TextInfo(
    name="coco_captions",
    title="COCO captions",
    sizes=(12_500, _NUM_VALID, _NUM_TEST),
    read=read,
    source=Source(
        (_FILES,),
        "captions CC BY 4.0, the benchmark MIT",
        "Lin et al., Microsoft COCO, arXiv:1405.0312; files of Zhu et al., Texygen, "
        "arXiv:1802.01886",
    ),
)
