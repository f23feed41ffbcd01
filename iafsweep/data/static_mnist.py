"""Statically binarised MNIST as published by H. Larochelle: text files of 0 and 1, one line per image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iafsweep.config import source_facts
from iafsweep.data.source import FileSet, SetFile, download_file
from iafsweep.errors import DataError

FACTS = source_facts("static_mnist")
_ADDRESS = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"


class StaticMnist(FileSet):
    """Static MNIST in three files: 50,000 training, 10,000 validation and 10,000 test images."""

    def __init__(self) -> None:
        super().__init__(
            "static MNIST",
            "static_mnist",
            (
                SetFile(
                    "binarized_mnist_train.amat",
                    78_400_000,
                    "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
                ),
                SetFile(
                    "binarized_mnist_valid.amat",
                    15_680_000,
                    "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
                ),
                SetFile(
                    "binarized_mnist_test.amat",
                    15_680_000,
                    "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
                ),
            ),
        )

    def training_images(self, root: Path) -> Tensor:
        """Return the training images, followed by the validation images, uint8 [60000, 1, 28, 28], zeros and ones."""
        return torch.cat([self._images(root, self.files[0]), self._images(root, self.files[1])])

    def test_images(self, root: Path) -> Tensor:
        """Return the test images, uint8 [10000, 1, 28, 28], zeros and ones."""
        return self._images(root, self.files[2])

    def download(self, root: Path) -> None:
        """Download the files that are missing."""
        for path in self.missing(root):
            download_file(f"{_ADDRESS}/{path.name}", path.parent)

    def _images(self, root: Path, file: SetFile) -> Tensor:
        content = self.checked(root, file)
        marks = np.frombuffer(content, dtype=np.uint8)
        bits, between = marks[::2] - ord("0"), set(marks[1::2].tolist())
        if len(marks) % (2 * 784) or bits.max(initial=0) > 1 or not between <= set(b" \n"):
            raise DataError(f"{self._path(root, file)} is not a text file of 0 and 1, 784 per line; {self.again(root)}")
        return torch.from_numpy(bits).view(-1, *FACTS.image_shape)


STATIC_MNIST = StaticMnist()
