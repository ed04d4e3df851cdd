"""What the tests of data sets share."""

import dataclasses
import hashlib
import io
import socket
import zipfile

import numpy as np
from PIL import Image

from jaxdiscrete.experiments.data.load import DATASETS, load_dataset
from jaxdiscrete.experiments.data.settings import Data

CONTENT = np.random.default_rng(0).bytes(300_000)
SIZE = len(CONTENT)
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
NAME, PATH = "mnist", "mnist/file.gz"


def load(name, binarization=None):
    return load_dataset(Data(name, binarization))


def with_source(name, source):
    """A set whose files are others."""
    return dataclasses.replace(DATASETS[name], source=source)


def contents(folder):
    return [p.name for p in folder.rglob("*") if p.is_file()]


def refused():
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file.gz"


def write_drawings(path, ink, numbers, rng):
    """Black ink in 1-bit PNGs, whose folders sort otherwise than their numbers."""
    rng.shuffle(numbers)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images/", "")
        for character, drawer in numbers:
            png = io.BytesIO()
            image = Image.fromarray(255 * (1 - ink[character, drawer])).convert("1")
            image.save(png, "PNG")
            name = f"{character + 1:04}_{drawer + 1:02}.png"
            archive.writestr(f"images/{-character % 7}/{name}", png.getvalue())
