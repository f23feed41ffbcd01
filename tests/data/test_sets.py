"""Each set from small files in its true format, and what is said of files that are not."""

import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.io import savemat

from iafsweep.config import SOURCES, DataConfig, Member, source_facts
from iafsweep.data import cifar10, idx_sets, load_test_images, load_training_images, matlab_sets, static_mnist
from iafsweep.data.idx import image_header
from iafsweep.data.source import FileSet, SetFile, download_file
from iafsweep.errors import DataError

NAMES = [name for name in SOURCES.members if name != "file"]
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (13, 28, 28), dtype=np.uint8)
BITS = RANDOM.integers(0, 2, (13, 28, 28), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)


def tensor(images):
    return torch.from_numpy(np.ascontiguousarray(images))[:, None]


def small(facts, **counts):
    return facts._replace(**counts)


def idx_set(name, root, packed=False):
    """Ten training and three test images in the files of a set, no digest compared."""
    kept = SOURCES.load(name)
    split = name.removeprefix("emnist_") if name.startswith("emnist") else ""
    names = [file.name for file in kept.files]
    made = idx_sets.IdxSet(
        kept.title, small(source_facts(name), training_images=10, test_images=3), (names[0], ""), (names[1], ""), split
    )
    (root / made.folder).mkdir(parents=True)
    stored = GREY.transpose(0, 2, 1) if split else GREY
    for file, part in zip(names, (stored[:10], stored[10:]), strict=True):
        content = image_header(len(part), 28, 28) + np.ascontiguousarray(part).tobytes()
        path = root / made.folder / file
        path.with_name(f"{file}.gz").write_bytes(gzip.compress(content)) if packed else path.write_bytes(content)
    return made


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(SOURCES.load(name), idx_sets.IdxSet)])
def test_idx_sets(name, packed, tmp_path):
    made = idx_set(name, tmp_path, packed)
    made.prepare(tmp_path)
    assert torch.equal(made.training_images(tmp_path), tensor(GREY[:10]))
    assert torch.equal(made.test_images(tmp_path), tensor(GREY[10:]))
    assert made.missing(tmp_path) == []


def test_a_file_of_a_set_that_has_a_digest_is_not_taken_for_one_that_has_none(tmp_path, monkeypatch):
    made = idx_set("kmnist", tmp_path)
    content = (tmp_path / made.folder / idx_sets.TRAINING_FILE).read_bytes()
    known = (SetFile("x", None, hashlib.sha256(content).hexdigest()),)
    monkeypatch.setattr(idx_sets.FASHION_MNIST, "files", known)
    with pytest.raises(DataError, match="train-images-idx3-ubyte is a file of FashionMNIST, not of KMNIST"):
        made.training_images(tmp_path)


def static_set(root):
    made = static_mnist.StaticMnist()
    parts = (BITS[:6], BITS[6:10], BITS[10:])
    texts = ["".join(" ".join(map(str, image.ravel())) + "\n" for image in part).encode() for part in parts]
    made.files = tuple(
        SetFile(file.name, len(text), hashlib.sha256(text).hexdigest())
        for file, text in zip(made.files, texts, strict=True)
    )
    (root / made.folder).mkdir(parents=True)
    for file, text in zip(made.files, texts, strict=True):
        (root / made.folder / file.name).write_bytes(text)
    return made


def test_static_mnist(tmp_path):
    made = static_set(tmp_path)
    assert torch.equal(made.training_images(tmp_path), tensor(BITS[:10]))  # validation images last
    assert torch.equal(made.test_images(tmp_path), tensor(BITS[10:]))
    for file, images in zip(static_mnist.STATIC_MNIST.files, (50_000, 10_000, 10_000), strict=True):
        assert file.size == images * 784 * 2  # a digit and what parts it from the next
    test = tmp_path / made.folder / made.files[2].name
    test.write_bytes(test.read_bytes().replace(b"1", b"2"))
    with pytest.raises(DataError, match="test.amat has the right size but is not static MNIST"):
        made.test_images(tmp_path)
    made.files = tuple(replace(file, checksum="") for file in made.files)
    with pytest.raises(DataError, match=r"test.amat is not a text file of 0 and 1, 784 per line"):
        made.test_images(tmp_path)


def matlab_set(name, root, images, **matrices):
    kept = SOURCES.load(name)
    counts = {key: len(value) for key, value in matrices.items()}
    training = {key: counts[key] for key in kept._training}
    made = matlab_sets.MatlabSet(
        kept.title,
        str(kept.folder),
        SetFile(kept.files[0].name),
        small(source_facts(name), test_images=counts[kept._test]),
        training,
        kept._test,
        "",
        is_upright=kept._is_upright,
        is_inverted=kept._is_inverted,
    )
    (root / made.folder).mkdir(parents=True)
    columns = {key: value.transpose(0, 2, 1).reshape(len(value), -1) for key, value in matrices.items()}  # as MATLAB
    stored = {key: value.T if kept._is_upright else value for key, value in columns.items()}
    savemat(root / made.folder / made.files[0].name, stored | {"target": np.eye(2)}, do_compression=True)
    return made


def test_omniglot(tmp_path):
    made = matlab_set("omniglot", tmp_path, GREY, data=GREY[:10] / 255, testdata=GREY[10:] / 255)
    assert torch.equal(made.training_images(tmp_path), tensor(GREY[:10]))
    assert torch.equal(made.test_images(tmp_path), tensor(GREY[10:]))


def test_silhouettes_are_white_on_black_with_their_own_validation_images_last(tmp_path):
    dark = 1 - BITS
    made = matlab_set(
        "caltech101_silhouettes", tmp_path, BITS, train_data=dark[:6], val_data=dark[6:10], test_data=dark[10:]
    )
    assert torch.equal(made.training_images(tmp_path), tensor(BITS[:10]))
    assert torch.equal(made.test_images(tmp_path), tensor(BITS[10:]))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:2000]), "is not a MATLAB file with `data` of 10 images"),
        (lambda path: path.write_bytes(b"no matlab"), "is not a MATLAB file"),
        (lambda path: savemat(path, {"data": np.zeros((784, 9))}), r"\(found 9 x 784 values\)"),
        (lambda path: savemat(path, {"data": np.full((784, 10), 3)}), r"\(some values are outside 0 to 1\)"),
        (lambda path: savemat(path, {"data": np.full((784, 10), np.nan)}), r"\(some values are outside 0 to 1\)"),
        (lambda path: savemat(path, {"other": np.eye(2)}), "is not a MATLAB file with `data` of 10 images"),
        (lambda path: savemat(path, {"data": np.array(["text"] * 10)}), "is not a MATLAB file with `data`"),
    ],
)
def test_a_matlab_file_that_is_not_what_it_should_be(damage, said, tmp_path):
    made = matlab_set("omniglot", tmp_path, GREY, data=GREY[:10] / 255, testdata=GREY[10:] / 255)
    damage(tmp_path / made.folder / "chardata.mat")
    with pytest.raises(DataError, match=f"chardata.mat {said}" if said.startswith("is") else said):
        made.training_images(tmp_path)


def test_a_digest_of_md5_is_compared(tmp_path):
    made = matlab_set("omniglot", tmp_path, GREY, data=GREY[:10] / 255, testdata=GREY[10:] / 255)
    path = tmp_path / made.folder / "chardata.mat"
    made.files = (SetFile("chardata.mat", checksum=hashlib.md5(path.read_bytes()).hexdigest()),)
    assert len(made.test_images(tmp_path)) == 3
    made.files = matlab_sets.OMNIGLOT.files
    with pytest.raises(DataError, match="is not OMNIGLOT .*MD5 21ecaf34"):
        made.test_images(tmp_path)


def cifar_set(root):
    made = cifar10.Cifar10()
    made.files = tuple(replace(file, size=len(COLOUR[::6][:3]) * 3073) for file in made.files)
    (root / made.folder).mkdir(parents=True)
    for number, file in enumerate(made.files):
        part = COLOUR[3 * number : 3 * number + 3].reshape(3, -1)
        labels = np.full((3, 1), number, dtype=np.uint8)
        (root / made.folder / file.name).write_bytes(np.hstack([labels, part]).tobytes())
    return made


def test_cifar10(tmp_path):
    made = cifar_set(tmp_path)
    assert torch.equal(made.training_images(tmp_path), torch.from_numpy(COLOUR[:15]))
    assert torch.equal(made.test_images(tmp_path), torch.from_numpy(COLOUR[15:18]))
    path = tmp_path / made.folder / "test_batch.bin"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    with pytest.raises(DataError, match="test_batch.bin is not CIFAR-10: a label is above 9"):
        made.test_images(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="test_batch.bin is truncated: 9,218 bytes, expected 9,219"):
        made.test_images(tmp_path)


def test_own_validation_images_are_held_out_whatever_the_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(static_mnist, "STATIC_MNIST", static_set(tmp_path))
    place = SOURCES.members["static_mnist"].place
    facts = small(source_facts("static_mnist"), training_images=10, test_images=3, validation_images=4)
    monkeypatch.setitem(SOURCES.members, "static_mnist", Member(place, facts))
    for seed in (0, 1):
        both = load_training_images(DataConfig(source="static_mnist", split_seed=seed), tmp_path)
        assert torch.equal(both.training, tensor(BITS[:6]))
        assert torch.equal(both.validation, tensor(BITS[6:10]))
    none = load_training_images(DataConfig(source="static_mnist", validation_images=0), tmp_path)
    assert torch.equal(none.training, tensor(BITS[:10]))


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(SOURCES.load(name), FileSet)])
def test_what_is_missing_is_said_with_its_folder_and_what_it_must_be(name, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no network")

    for place in ("MNIST", "FashionMNIST", "KMNIST", "EMNIST", "utils.download_url"):
        monkeypatch.setattr(f"torchvision.datasets.{place}", refuse)
    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", refuse)
    with pytest.raises(DataError) as error:
        load_test_images(DataConfig(source=name), tmp_path)
    said, source = str(error.value), SOURCES.load(name)
    assert f"{source.title} lacks " in said
    assert "and the download failed (no network)" in said
    assert f"into {tmp_path / source.folder}" in said
    for file in source.files:
        assert file.name in said
        assert file.size is None or f"{file.size:,} bytes" in said
        assert file.checksum[:8] in said
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} <= {f".{source.folder.parts[0].lower()}.lock"}


def test_a_download_that_was_broken_off_is_not_taken_for_the_file(tmp_path, monkeypatch):
    def fetch(url, folder, name):
        assert not (folder / name).exists()
        (folder / name).write_text("half")
        if url.endswith("/broken"):
            raise OSError("cut off")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", fetch)
    with pytest.raises(OSError, match="cut off"):
        download_file("http://localhost/broken", tmp_path)
    assert not (tmp_path / "broken").exists()
    (tmp_path / "whole.part").write_text("of another time")
    download_file("http://localhost/whole", tmp_path)
    assert (tmp_path / "whole").read_text() == "half"
