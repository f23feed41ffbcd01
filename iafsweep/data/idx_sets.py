"""Data sets in IDX files: MNIST, Fashion-MNIST, KMNIST and the six of EMNIST.

The two image files of a set are read from the folder where torchvision keeps them, such as ``ROOT/MNIST/raw``, plain
or as ``.gz``. If one is missing, torchvision downloads the set. Labels are not read.
"""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor

from iafsweep.config import SourceFacts, source_facts
from iafsweep.data.idx import HEADER, parse_images
from iafsweep.data.source import FileSet, SetFile
from iafsweep.errors import DataError

TRAINING_FILE = "train-images-idx3-ubyte"
TEST_FILE = "t10k-images-idx3-ubyte"


class IdxSet(FileSet):
    """A data set in two IDX files, one of training and one of test images.

    Args:
        title: torchvision's name of the set.
        facts: facts about the set.
        training: name and SHA-256 of the unpacked training file; no digest (empty) where none is published.
        test: the same for the test file.
        split: the part of EMNIST that this is, whose images are transposed in the files; empty for other sets.
    """

    def __init__(
        self,
        title: str,
        facts: SourceFacts,
        training: tuple[str, str] = (TRAINING_FILE, ""),
        test: tuple[str, str] = (TEST_FILE, ""),
        split: str = "",
    ) -> None:
        sizes = [
            HEADER.size + count * math.prod(facts.image_shape) for count in (facts.training_images, facts.test_images)
        ]
        files = tuple(SetFile(name, size, sha256) for (name, sha256), size in zip((training, test), sizes, strict=True))
        super().__init__(title, f"{title}/raw", files)
        self._facts = facts
        self._split = split

    def training_images(self, root: Path) -> Tensor:
        """Return the training images, uint8 [N, 1, 28, 28].

        Raises:
            DataError: the file is missing, truncated or another set's.
        """
        return self._images(root, self.files[0], self._facts.training_images)

    def test_images(self, root: Path) -> Tensor:
        """Return the test images, uint8 [N, 1, 28, 28].

        Raises:
            DataError: the file is missing, truncated or another set's.
        """
        return self._images(root, self.files[1], self._facts.test_images)

    def download(self, root: Path) -> None:
        """Download through torchvision, which checks the digests of the packed files."""
        from torchvision import datasets

        if self._split:
            datasets.EMNIST(root, self._split, download=True)
        else:
            getattr(datasets, self.title)(root, train=True, download=True)

    def _images(self, root: Path, file: SetFile, count: int) -> Tensor:
        content, path = self.read(root, file), str(self._path(root, file))
        _, height, width = self._facts.image_shape
        images = parse_images(content, count, height, width, path, self.again(root))
        self.refuse_other(root, file, content)
        self._refuse_known(path, file, content, root)
        return images.transpose(2, 3).contiguous() if self._split else images

    def _refuse_known(self, path: str, file: SetFile, content: bytes, root: Path) -> None:
        """For a set without digests, refuse MNIST and Fashion-MNIST files, whose names and sizes are the same."""
        others = (MNIST, FASHION_MNIST) if not file.checksum else ()
        for other in others:
            if any(each.is_made_of(content) for each in other.files):
                raise DataError(f"{path} is a file of {other.title}, not of {self.title}; {self.again(root)}")


MNIST = IdxSet(
    "MNIST",
    source_facts("mnist"),
    (TRAINING_FILE, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    (TEST_FILE, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
)
FASHION_MNIST = IdxSet(
    "FashionMNIST",
    source_facts("fashion_mnist"),
    (TRAINING_FILE, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    (TEST_FILE, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
)
KMNIST = IdxSet("KMNIST", source_facts("kmnist"))


def _emnist(split: str) -> IdxSet:
    names = [(f"emnist-{split}-{part}-images-idx3-ubyte", "") for part in ("train", "test")]
    return IdxSet("EMNIST", source_facts(f"emnist_{split}"), names[0], names[1], split)


EMNIST_BYCLASS = _emnist("byclass")
EMNIST_BYMERGE = _emnist("bymerge")
EMNIST_BALANCED = _emnist("balanced")
EMNIST_LETTERS = _emnist("letters")
EMNIST_DIGITS = _emnist("digits")
EMNIST_MNIST = _emnist("mnist")
