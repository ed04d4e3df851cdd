"""Every set: its splits, its orientation, its ones and zeros; and bad files."""

import gzip
import hashlib
import io
import itertools
import os
import struct
import zipfile

import numpy as np
import pytest
import scipy.io
from PIL import Image
from sklearn import datasets as sklearn_datasets

from jaxdiscrete.experiments.data import (
    DATASETS,
    SOURCES,
    DataFile,
    Source,
    load_dataset,
    readers,
    shuffled_subset,
)
from jaxdiscrete.experiments.data.binarization import make_binarizer
from jaxdiscrete.experiments.data.checksums import checksum
from jaxdiscrete.experiments.errors import UsageError

CASES = [(name, kind) for name, i in DATASETS.items() for kind in i.binarizations]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Makes a hand-made file the published one of a set."""
    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path))

    def put(name, *paths, method="sha256"):
        files = [DataFile(path.name, checksum(path, method)) for path in paths]
        monkeypatch.setitem(SOURCES, name, Source((tuple(files),), "", ""))

    return put


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_set_is_what_the_table_says(name, kind, real_data):
    real_data(name)
    info, data = DATASETS[name], load_dataset(name, kind)
    height, width = info.image_shape
    assert data.image_shape == info.image_shape
    assert data.is_grey == (kind == "dynamic")
    assert data.title.startswith(info.title)
    labels = (data.train_labels, data.valid_labels, data.test_labels)
    for images, label, size in zip(data[:3], labels, info.sizes, strict=True):
        assert images.shape == (size, height * width)
        assert images.dtype == np.uint8
        assert images.flags.c_contiguous
        assert images.min() == 0
        assert images.max() == (255 if data.is_grey else 1)
        # An image without ink, or of nothing but ink, is one that was read wrongly.
        assert 0.03 < images.mean() / images.max() < 0.6
        if label is not None:
            assert label.shape == (size,)
            assert label.dtype == np.int32
    assert len({label is None for label in labels}) == 1
    if data.train_labels is not None:
        assert data.train_labels.min() == 0
    assert load_dataset(name).title == load_dataset(name, info.binarizations[0]).title


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_set_is_the_same_every_time(name, kind, real_data):
    real_data(name)
    one, other = load_dataset(name, kind), load_dataset(name, kind)
    for a, b in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(a, b)


def test_unknown_names_list_the_choices():
    with pytest.raises(UsageError, match=r"among digits, mnist, .*, got 'minst'"):
        load_dataset("minst")
    expected = "binarization of digits among threshold, dynamic, got 'fixed'"
    with pytest.raises(UsageError, match=expected):
        load_dataset("digits", "fixed")


def test_digits_keep_their_test_examples():
    pixels, target = sklearn_datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(1797)
    data, grey = load_dataset("digits"), load_dataset("digits", "dynamic")
    test, valid, train = np.split(pixels[order], [297, 447])
    for images, greys, expected in zip(
        data[:3], grey[:3], (train, valid, test), strict=True
    ):
        np.testing.assert_array_equal(images, expected > 7.5)
        np.testing.assert_array_equal(greys, np.rint(expected / 16 * 255))
    labels = (data.test_labels, data.valid_labels, data.train_labels)
    np.testing.assert_array_equal(np.concatenate(labels), target[order])


def test_fixed_draws_are_those_of_one_seed_across_arrays():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2500, 3)), rng.integers(0, 256, (7, 3))
    binarize = make_binarizer("fixed")
    drawn = np.concatenate([binarize(one, white=255), binarize(other, white=255)])
    uniforms = np.random.RandomState(5).rand(2507, 3)
    expected = uniforms < np.concatenate([one, other]) / 255
    np.testing.assert_array_equal(drawn, expected)


def test_threshold_is_more_than_half():
    binarize = make_binarizer("threshold")
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    assert binarize(grey, white=255).tolist() == [[0, 0, 1, 1]]
    assert binarize(np.array([[0.5, 0.51]]), white=1).tolist() == [[0, 1]]


def test_a_subset_is_random_fixed_and_a_prefix_of_a_larger_one():
    images = np.arange(100).reshape(50, 2)
    few, more = shuffled_subset(images, 10), shuffled_subset(images, 20)
    np.testing.assert_array_equal(few, more[:10])
    assert len({tuple(row) for row in more}) == 20
    assert few[:, 0].max() > 60
    assert (shuffled_subset(images, 10, seed=1) != few).any()
    assert shuffled_subset(images, None) is images
    assert shuffled_subset(images, 50) is images


def test_the_first_test_images_would_be_of_one_class(real_data):
    real_data("binarized_mnist")
    test = load_dataset("binarized_mnist").test
    ink = test.mean(1)
    # Zeros have more ink than the average digit.
    assert ink[:500].mean() > 1.15 * ink.mean()
    assert abs(shuffled_subset(ink, 500).mean() / ink.mean() - 1) < 0.05


def test_packed_and_published_binarized_mnist_are_the_same(
    real_data, tmp_path, monkeypatch
):
    real_data("binarized_mnist")
    packed = load_dataset("binarized_mnist")
    published = SOURCES["binarized_mnist"].variants[-1]
    (tmp_path / "binarized_mnist").mkdir()
    for images, file in zip(packed[:3], published, strict=True):
        text = np.full((*images.shape, 2), ord(" "), np.uint8)
        text[..., 0] = images + ord("0")
        text[:, -1, 1] = ord("\n")
        assert text.nbytes == file.size
        digest = hashlib.sha256(text.tobytes()).hexdigest()
        assert f"sha256:{digest}" == file.checksum
        (tmp_path / file.path).write_bytes(text.tobytes())
    monkeypatch.setenv("JAXDISCRETE_DATA", str(tmp_path))
    for a, b in zip(load_dataset("binarized_mnist")[:3], packed[:3], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_images_and_labels_of_mnist_fit(name, real_data):
    real_data(name)
    data = load_dataset(name)
    means = np.stack([data.train[data.train_labels == c].mean(0) for c in range(10)])
    distance = np.linalg.norm(data.test[:, None] - means, axis=2)
    # Nearest class means are right for 82 % and 68 %; without the labels for 10 %.
    assert (distance.argmin(1) == data.test_labels).mean() > 0.6
    upright = means[1].reshape(28, 28)
    # The digit one, and trousers, are higher than wide.
    assert (upright.sum(1) > 300).sum() > 1.3 * (upright.sum(0) > 300).sum()


def test_silhouettes_are_upright_objects_of_ones(real_data):
    folder = real_data("caltech101_silhouettes")
    (file,) = SOURCES["caltech101_silhouettes"].variants[0]
    content = scipy.io.loadmat(folder / file.path)
    data = load_dataset("caltech101_silhouettes")
    for images, part in zip(data[:3], ("train", "val", "test"), strict=True):
        raw = content[f"{part}_data"]
        for i in (0, len(raw) // 2, -1):
            np.testing.assert_array_equal(
                images[i].reshape(28, 28), 1 - raw[i].reshape(28, 28, order="F")
            )
    names = [str(cell.item()) for cell in content["classnames"][0]]
    labels = data.train_labels
    pyramids = data.train[labels == names.index("pyramid")].reshape(-1, 28, 28)
    assert pyramids[:, 14:].mean() > 1.5 * pyramids[:, :14].mean()


def test_omniglot_is_split_and_drawn_as_in_the_rebar_code(store, tmp_path):
    rng = np.random.default_rng(0)
    # A corner that is always ink tells rows from columns.
    raw = {"data": rng.random((784, 1400)), "testdata": rng.random((784, 30))}
    for columns in raw.values():
        columns[2] = 1
    path = tmp_path / "chardata.mat"
    scipy.io.savemat(path, raw)
    store("omniglot", path, method="git-blob")

    def reshape(data):
        data = data.T.astype("float32").reshape((-1, 28, 28))
        return data.reshape((-1, 28 * 28), order="F")

    train, test = reshape(raw["data"]), reshape(raw["testdata"])
    random = np.random.RandomState(5)
    ones = [random.rand(*part.shape) < part for part in (train, test)]
    order = np.random.RandomState(123).permutation(1400)
    fixed, grey = load_dataset("omniglot"), load_dataset("omniglot", "dynamic")
    np.testing.assert_array_equal(fixed.train, ones[0][order][:-1345])
    np.testing.assert_array_equal(fixed.valid, ones[0][order][-1345:])
    np.testing.assert_array_equal(fixed.test, ones[1])
    np.testing.assert_allclose(grey.valid / 255, train[order][-1345:], atol=0.0021)
    assert (grey.test.reshape(-1, 28, 28)[:, 2, 0] == 255).all()
    assert fixed.train_labels is None


def test_small_omniglot_splits_by_drawer(real_data):
    folder = real_data("omniglot_28")
    (file,) = SOURCES["omniglot_28"].variants[0]
    with np.load(folder / file.path, allow_pickle=False) as content:
        images = content["images"].reshape(1623, 20, 784)
    data = load_dataset("omniglot_28", "dynamic")
    np.testing.assert_array_equal(data.test, images[:, 15:].reshape(-1, 784))
    np.testing.assert_array_equal(data.test_labels, np.repeat(np.arange(1623), 5))
    order = np.random.RandomState(123).permutation(24345)
    both = np.concatenate([data.train, data.valid])
    np.testing.assert_array_equal(both, images[:, :15].reshape(-1, 784)[order])
    labels = np.concatenate([data.train_labels, data.valid_labels])
    np.testing.assert_array_equal(labels, order // 15)


def test_drawings_and_small_omniglot_are_the_same(store, tmp_path):
    rng = np.random.default_rng(0)
    ink = rng.integers(0, 2, (100, 20, 28, 28), np.uint8)
    ink[:, :, 20:] = 0
    small = tmp_path / "small.npz"
    np.savez(small, images=ink * 255)
    store("omniglot_28", small)
    expected = load_dataset("omniglot_28")
    zips = [tmp_path / "a.zip", tmp_path / "b.zip"]
    for path, first in zip(zips, (0, 60), strict=True):
        characters = range(first, 60 if first == 0 else 100)
        write_drawings(path, ink, list(itertools.product(characters, range(20))), rng)
    store("omniglot_28", *zips)
    data = load_dataset("omniglot_28")
    for a, b in zip(data[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(data.valid_labels, expected.valid_labels)


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


def test_drawings_shrink_by_averages(tmp_path):
    rng = np.random.default_rng(0)
    ink = rng.integers(0, 2, (3, 2, 84, 84), np.uint8)
    path = tmp_path / "drawings.zip"
    write_drawings(path, ink, list(itertools.product(range(3), range(2))), rng)
    small = readers.read_drawings(path, 28, 2)
    mean = ink.reshape(3, 2, 28, 3, 28, 3).mean((3, 5))
    np.testing.assert_allclose(small, mean * 255, atol=1)


def idx(magic=b"\0\0\x08\x01", size=3, content=b"abc"):
    return magic + struct.pack(">I", size) + content


def pickle_bomb(trap):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(trap),)

    buffer = io.BytesIO()
    np.savez(buffer, images=np.array([Bomb()], object))
    return buffer.getvalue()


def test_idx_reads_what_the_header_says(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(), mtime=0))
    assert readers.read_idx(path).tolist() == [97, 98, 99]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not gzip",
        gzip.compress(idx(), mtime=0)[:-9],
        gzip.compress(b"\0", mtime=0),
        gzip.compress(idx(magic=b"\0\0\x0d\x01"), mtime=0),
        gzip.compress(idx(magic=b"\0\0\x08\x07"), mtime=0),
        gzip.compress(idx(size=4), mtime=0),
        gzip.compress(idx(size=2), mtime=0),
    ],
    ids=["empty", "not_gzip", "cut", "one_byte", "floats", "vector", "long", "short"],
)
def test_idx_refuses_other_files(tmp_path, content):
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.gz to be a gzipped idx file of bytes"):
        readers.read_idx(path)


@pytest.mark.parametrize("content", [b"0 1 2\n", b"0 1\n", b"0 1 1 \n", b"0,1,1\n"])
def test_amat_refuses_other_files(tmp_path, content):
    path = tmp_path / "x.amat"
    path.write_bytes(b"0 1 1\n1 0 0\n")
    assert readers.read_amat(path, 3).tolist() == [[0, 1, 1], [1, 0, 0]]
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.amat to be lines of 3 zeros and ones"):
        readers.read_amat(path, 3)


def test_npz_refuses_other_files_and_never_unpickles(tmp_path):
    path, trap = tmp_path / "x.npz", tmp_path / "trap"
    np.savez(path, images=np.arange(3))
    assert readers.read_npz(path, ["images"])[0].tolist() == [0, 1, 2]
    good = path.read_bytes()
    np.savez(path, other=np.arange(3))
    for content in (b"", good[:-30], path.read_bytes(), pickle_bomb(trap)):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"x\.npz to be a \.npz file with images"):
            readers.read_npz(path, ["images"])
    assert not trap.exists()


def test_mat_refuses_other_files(tmp_path):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"data": np.eye(2)}, do_compression=True)
    assert readers.read_mat(path, ["data"])[0].tolist() == [[1, 0], [0, 1]]
    good = path.read_bytes()
    scipy.io.savemat(path, {"other": np.eye(2)})
    other = path.read_bytes()
    scipy.io.savemat(path, {"data": np.array([["a", 1]], object)})
    cells = path.read_bytes()
    # What MATLAB 7.3 writes behind its 128 bytes of text is HDF5.
    newer = good[:124] + b"\0\x02IM" + b"\x89HDF"
    for content in (b"", b"junk" * 99, good[:-5], other, cells, newer):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"x\.mat to be a MATLAB file with data"):
            readers.read_mat(path, ["data"])
    with pytest.raises(UsageError, match=r"y\.mat to be a MATLAB file"):
        readers.read_mat(tmp_path / "y.mat", ["data"])


def test_drawings_refuse_other_files(tmp_path):
    path, rng = tmp_path / "x.zip", np.random.default_rng(0)
    write_drawings(path, np.zeros((1, 3, 8, 8), np.uint8), [(0, 0), (0, 1)], rng)
    assert readers.read_drawings(path, 4, 2).shape == (1, 2, 4, 4)
    with pytest.raises(UsageError, match="to be a zip of 3 drawings a character"):
        readers.read_drawings(path, 4, 3)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0001_01.png", b"no png")
    with pytest.raises(UsageError, match="to be a zip of 1 drawings a character"):
        readers.read_drawings(path, 4, 1)


def test_packed_bits_of_another_width_are_refused():
    bits = np.random.default_rng(0).integers(0, 2, (5, 13), np.uint8)
    packed = np.packbits(bits, axis=1)
    np.testing.assert_array_equal(readers.unpack_bits(packed, 13), bits)
    with pytest.raises(UsageError, match=r"uint8 \[n, 3\], got uint8 \[5, 2\]"):
        readers.unpack_bits(packed, 17)
