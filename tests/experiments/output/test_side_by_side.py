"""Pictures of several runs in one."""

import numpy as np
import pytest

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.output import side_by_side
from jaxdiscrete.experiments.output.figures import Picture

SHAPE = (2, 3)


def picture(value, labels=("image", "mask", "kept")):
    images = np.full((3, 4, 6), value)
    images[0] = 0.25
    return Picture(images, list(labels), "Masks")


@pytest.fixture
def folders(tmp_path):
    found = {}
    for name, value in (("one", 0.5), ("other", 1.0)):
        found[name] = tmp_path / name
        found[name].mkdir()
        side_by_side.save(found[name] / "masks.png", picture(value), SHAPE)
    return found


def test_the_first_row_is_shared_and_the_last_is_each_run_s(
    folders, tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(side_by_side, "save_picture", lambda *args: drawn.append(args))
    path = side_by_side.join("masks", folders, tmp_path)
    ((to, joined, shape),) = drawn
    assert to == path == tmp_path / "masks.png"
    assert shape == SHAPE
    assert joined.labels == ["image", "one", "other"]
    assert joined.title == "Masks: kept"
    np.testing.assert_array_equal(joined.images[:, 0, 0], [0.25, 0.5, 1.0])
    assert joined.images.shape == (3, 4, 6)


def test_pictures_are_written_beside_their_arrays(folders, tmp_path):
    assert (folders["one"] / "masks.png").read_bytes()[:4] == b"\x89PNG"
    path = side_by_side.join("masks", folders, tmp_path)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_what_a_run_has_not_or_has_no_labels_is_not_joined(folders, tmp_path):
    assert side_by_side.join("samples", folders, tmp_path) is None
    side_by_side.save(folders["one"] / "masks.png", picture(0.5, ()), SHAPE)
    assert side_by_side.join("masks", folders, tmp_path) is None


def test_damage_is_named(folders, tmp_path):
    path = folders["other"] / "masks.npz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UsageError, match="Delete it and continue the run"):
        side_by_side.join("masks", folders, tmp_path)
