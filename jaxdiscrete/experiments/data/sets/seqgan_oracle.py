"""The LSTM that SeqGAN takes for the truth: fifteen arrays, and no examples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from jaxdiscrete.experiments.data.dataset import SetInfo
from jaxdiscrete.experiments.data.readers import read_npy
from jaxdiscrete.experiments.data.sources import Source, files_at

NUM_WORDS = 5_000
NUM_STEPS = 20
NUM_UNITS = 32

_SQUARE, _ROW = (NUM_UNITS, NUM_UNITS), (NUM_UNITS,)
#: By name: from the vector of a word (w) and the state (u), with a bias (b), to the
#: gates (i, f, o) and the candidate (c) of the cell, and from there to the words (o).
SHAPES: dict[str, tuple[int, ...]] = {
    "embedding": (NUM_WORDS, NUM_UNITS),
    **{
        part + gate: shape
        for gate in ("i", "f", "og", "c")
        for part, shape in (("w", _SQUARE), ("u", _SQUARE), ("b", _ROW))
    },
    "wo": (NUM_UNITS, NUM_WORDS),
    "bo": (NUM_WORDS,),
}

# In truth .npy files.
_CHECKSUMS = {
    "embedding": "e41f8af7c573f8a1879b18396425d2d19efac559234a9c1109083d921edb3925",
    "wi": "ac4b27367b0b807af02bff5ca773d88aff8e62e4aa21e02b1a7f1febf0d69a2b",
    "ui": "0557754cb2d0402fd755cea8933e83707edb30092f0a38ebc5544d9e7e3caca8",
    "bi": "771dc14a87413f142304a44ba32584aac36c31b6ea77d83f0ad4b824895ec4ba",
    "wf": "07a55ac9d573b5810724bc8e6e07446f1296245d5ff98702c144e2178beeda4f",
    "uf": "22bc3d7157ee813da900ba40badd112063aaf48f55789f2f8cb972651dbc00df",
    "bf": "9b8af49056f2271303c8d6e86fc838ce58535c44e2f58cf093e55564afc83be4",
    "wog": "7abf4a8b206e35b6e712706db110b5d7a04ee144f8d3ba64ad8c09549d2d94e2",
    "uog": "0accb868a6367a2b78bcc72963a68e38b898beec77fcb5db2e4f9c95ac53539d",
    "bog": "59e8bfbe03fc47722c92d17725738b1cf31796f400550031985d2cfc406f38db",
    "wc": "779e970a494c4f8a8f1e0c6b39d6d5319dbc274c0806852a03b69c0ab544752e",
    "uc": "77abdbce8bb1f17fb4907e59e8a17b360562885e5bc017bd6e78b6744f42b012",
    "bc": "71102ad0da50dd36eeabb2afa5949138d35ce6d3ab31092dbe5876cc658f5381",
    "wo": "a5f8fae3250fcd9cc7cd688c5605af56eb2c5d9efe745ccff7ce56f6d9a974bd",
    "bo": "dd4e5cfa70a4199fe4ba7afdf0de665837f4cfcb912c616f820debd2fbbab790",
}
_HEADER_BYTES = 128
_PLACE = (
    "e6be915b1aed7843d83f7d543bfb8de9f3d3461f/synthetic_data_experiments/oracle_params/"
)
_FILES = files_at(
    "seqgan_oracle",
    (
        f"https://raw.githubusercontent.com/pclucas14/GansFallingShort/{_PLACE}",
        f"https://github.com/pclucas14/GansFallingShort/raw/{_PLACE}",
    ),
    {
        f"{name}.npz": (
            f"sha256:{checksum}",
            _HEADER_BYTES + 4 * int(np.prod(SHAPES[name])),
        )
        for name, checksum in _CHECKSUMS.items()
    },
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OracleInfo(SetInfo):
    """The oracle before its files are read."""

    @property
    def description(self) -> str:
        """The arrays."""
        return f"{len(SHAPES)} arrays of a network"


def read(paths: tuple[Path, ...]) -> dict[str, np.ndarray]:
    """The arrays.

    Args:
      paths: of the files.

    Returns:
      float32 arrays by the names of :data:`SHAPES`.

    Raises:
      UsageError: if a file is something else.
    """
    return {
        name: read_npy(path, SHAPES[name])
        for name, path in zip(_CHECKSUMS, paths, strict=True)
    }


INFO = OracleInfo(
    name="seqgan_oracle",
    title="SeqGAN's oracle",
    source=Source(
        (_FILES,),
        "none is stated",
        "Yu, Zhang, Wang & Yu, SeqGAN, arXiv:1609.05473; arrays of Caccia et al., "
        "arXiv:1811.02549",
    ),
)
