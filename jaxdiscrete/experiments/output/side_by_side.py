"""Pictures of several runs in one: the arrays behind them are kept, and joined."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output.figures import Picture, save_picture
from jaxdiscrete.experiments.output.folder import replacing


def save(path: Path, picture: Picture, shape: tuple[int, int]) -> None:
    """Draws a picture, and keeps its arrays beside it for :func:`join`.

    Args:
      path: PNG file; the arrays have its name and the suffix ``.npz``.
      picture: rows of images.
      shape: height and width of an image.
    """
    save_picture(path, picture, shape)
    with replacing(path.with_suffix(".npz")) as temporary:
        np.savez_compressed(
            temporary,
            images=np.asarray(picture.images, np.float32),
            labels=np.array(picture.labels, dtype=np.str_),
            title=np.array(picture.title),
            shape=np.array(shape),
        )


def join(kind: str, folders: Mapping[str, Path], place: Path) -> Path | None:
    """The same images in all runs: the first row of one picture, and the last of each.

    Args:
      kind: of the picture, its file's name without the suffix.
      folders: of the runs, by the names that label their rows.
      place: folder of the result.

    Returns:
      The path of a PNG file, or None where runs have no such picture, or its rows no
      labels.

    Raises:
      UsageError: if a file of a run is damaged.
    """
    paths = [folder / f"{kind}.npz" for folder in folders.values()]
    if not all(path.exists() for path in paths):
        return None
    pictures = [_read(path) for path in paths]
    (first, shape), *_ = pictures
    if not all(picture.labels for picture, _ in pictures):
        return None
    rows = [first.images[0], *(picture.images[-1] for picture, _ in pictures)]
    title = f"{first.title}: {first.labels[-1]}"
    joined = Picture(np.stack(rows), [first.labels[0], *folders], title)
    path = place / f"{kind}.png"
    save_picture(path, joined, shape)
    return path


def _read(path: Path) -> tuple[Picture, tuple[int, int]]:
    try:
        content = io.BytesIO(path.read_bytes())
        with np.load(content, allow_pickle=False) as archive:
            labels = [str(label) for label in archive["labels"]]
            height, width = archive["shape"].tolist()
            picture = Picture(archive["images"], labels, str(archive["title"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"Expected the images of a picture in {path}, got a file that cannot be "
            f"read ({error}). Delete it and continue the run."
        ) from None
    return picture, (height, width)
