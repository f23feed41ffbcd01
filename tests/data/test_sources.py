import gzip
import hashlib
import lzma
import os
from pathlib import Path

import pytest
import torch

from iafsweep.config import DataConfig
from iafsweep.data import idx_sets, load_test_images, load_training_images, mnist_mini
from iafsweep.data.idx import image_header
from iafsweep.data.source import SetFile
from iafsweep.errors import DataError

MNIST = DataConfig()
NAMES = (idx_sets.TRAINING_FILE, idx_sets.TEST_FILE)
MINI = DataConfig(source="mnist_mini")


def write_mnist(root, training=None, test=None):
    raw = root / idx_sets.MNIST.folder
    raw.mkdir(parents=True)
    zeros = image_header(60_000, 28, 28) + bytes(60_000 * 784)
    (raw / idx_sets.TRAINING_FILE).write_bytes(zeros if training is None else training)
    (raw / idx_sets.TEST_FILE).write_bytes(image_header(10_000, 28, 28) + bytes(10_000 * 784) if test is None else test)
    return raw


def test_a_truncated_file_is_named_with_the_remedy(tmp_path):
    raw = write_mnist(tmp_path, training=image_header(60_000, 28, 28) + bytes(1000))
    with pytest.raises(DataError, match="train-images-idx3-ubyte is truncated: 1,016 bytes, expected") as info:
        load_training_images(MNIST, tmp_path)
    assert str(raw) in str(info.value)
    assert "--data-root" in str(info.value)


def test_a_file_of_another_kind_is_named(tmp_path):
    write_mnist(tmp_path, training=b"<html>not found</html>")
    with pytest.raises(DataError, match="is not the expected file"):
        load_training_images(MNIST, tmp_path)


def test_another_set_of_the_same_size_is_refused(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(DataError, match="has the right size but is not MNIST"):
        load_training_images(MNIST, tmp_path)
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte has the right size but is not MNIST"):
        load_test_images(MNIST, tmp_path)


def test_packed_files_are_read_too(tmp_path, monkeypatch):
    raw = write_mnist(tmp_path)
    plain = (raw / idx_sets.TRAINING_FILE).read_bytes()
    files = []
    for name in NAMES:
        content = (raw / name).read_bytes()
        files.append(SetFile(name, len(content), hashlib.sha256(content).hexdigest()))
        (raw / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        (raw / name).unlink()
    monkeypatch.setattr(idx_sets.MNIST, "files", tuple(files))
    assert [len(part) for part in load_training_images(MNIST, tmp_path)] == [55_000, 5_000]
    packed = raw / f"{idx_sets.TRAINING_FILE}.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be unpacked .*delete it"):
        load_training_images(MNIST, tmp_path)
    packed.write_bytes(gzip.compress(plain + bytes(10**4), 1))  # no more of it is unpacked than is needed
    with pytest.raises(DataError, match=r"ubyte\.gz is too long: 47,040,017 bytes"):
        load_training_images(MNIST, tmp_path)
    (raw / idx_sets.TRAINING_FILE).write_bytes(plain)  # in front of what is packed
    assert len(load_training_images(MNIST, tmp_path).training) == 55_000


@pytest.mark.parametrize("there", [(), (idx_sets.TEST_FILE,)])
def test_a_missing_file_is_named_with_its_size_and_folder(tmp_path, monkeypatch, there):
    raw = write_mnist(tmp_path)
    for name in set(NAMES) - set(there):
        (raw / name).unlink()

    def fail(root, train, download):
        raise RuntimeError("Error downloading")

    monkeypatch.setattr("torchvision.datasets.MNIST", fail)
    with pytest.raises(DataError) as info:
        load_training_images(MNIST, tmp_path)
    said = str(info.value)
    missing = " and ".join(name for name in NAMES if name not in there)
    assert said.startswith(f"MNIST lacks {missing}, and the download failed (Error downloading); put ")
    files = (
        "train-images-idx3-ubyte (47,040,016 bytes, SHA-256 ba891046...) and t10k-images-idx3-ubyte (7,840,016 bytes, "
        "SHA-256 0fa7898d...)"
    )
    assert f"put {files}, plain or as .gz, into {raw}, or" in said


def test_missing_files_that_cannot_be_downloaded(tmp_path, monkeypatch):
    def fail(root):
        raise OSError("no network")

    monkeypatch.setattr(idx_sets.MNIST, "download", fail)
    with pytest.raises(DataError, match=r"MNIST lacks .*, and the download failed \(no network\).*mnist_mini"):
        load_training_images(MNIST, tmp_path)


@pytest.mark.parametrize("name", ["file/data", "a" * 300], ids=["inside a file", "name too long"])
def test_a_folder_that_cannot_be_made(tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    for load in (load_training_images, load_test_images):
        with pytest.raises(DataError, match="cannot write MNIST to .*--data-root"):
            load(MNIST, tmp_path / name)


@pytest.mark.parametrize("damage", [lambda content: content[:-1000], lambda content: b"junk" + content])
def test_a_damaged_package_says_so(tmp_path, monkeypatch, damage):
    good = mnist_mini.FOLDER / mnist_mini.TRAINING_NAME
    (tmp_path / mnist_mini.TRAINING_NAME).write_bytes(damage(good.read_bytes()))
    monkeypatch.setattr(mnist_mini, "FOLDER", tmp_path)
    with pytest.raises(DataError, match="cannot be unpacked .* install the package again"):
        load_training_images(MINI, tmp_path)
    (tmp_path / mnist_mini.TRAINING_NAME).unlink()
    with pytest.raises(DataError, match="is missing; the installation is damaged"):
        load_training_images(MINI, tmp_path)


def test_too_few_images_in_the_package(tmp_path, monkeypatch):
    content = lzma.compress(image_header(10_000, 28, 28) + bytes(784))
    (tmp_path / mnist_mini.TRAINING_NAME).write_bytes(content)
    monkeypatch.setattr(mnist_mini, "FOLDER", tmp_path)
    with pytest.raises(DataError, match="truncated"):
        load_training_images(MINI, tmp_path)


def test_mnist_mini_is_small_and_says_where_it_is_from():
    assert sum(file.stat().st_size for file in mnist_mini.FOLDER.iterdir()) < 2_000_000
    text = (mnist_mini.FOLDER / "README.md").read_text()
    assert "CC BY-SA 3.0" in text
    assert "LeCun" in text


@pytest.mark.full_mnist
def test_mnist_mini_is_the_beginning_of_mnist():
    root = Path(os.environ["IAFSWEEP_DATA"])
    assert torch.equal(mnist_mini.training_images(root), idx_sets.MNIST.training_images(root)[:10_000])
    assert torch.equal(mnist_mini.test_images(root), idx_sets.MNIST.test_images(root)[:1_000])


@pytest.mark.full_mnist
def test_full_mnist_has_its_sizes():
    root = Path(os.environ["IAFSWEEP_DATA"])
    images = load_training_images(MNIST, root)
    assert [len(part) for part in images] == [55_000, 5_000]
    assert load_test_images(MNIST, root).shape == (10_000, 1, 28, 28)
