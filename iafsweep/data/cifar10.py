"""CIFAR-10 in its binary version: 10,000 records per file, each a label byte, then red, green and blue, row by row.

The version that torchvision reads consists of pickles, which this package never reads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iafsweep.data.source import FileSet, SetFile
from iafsweep.errors import DataError

_ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_RECORD = 1 + 3 * 32 * 32
_LABELS = 10


class Cifar10(FileSet):
    """CIFAR-10: five files of training images and one of test images."""

    def __init__(self) -> None:
        names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
        files = tuple(SetFile(name, 10_000 * _RECORD) for name in names)
        super().__init__("CIFAR-10", "cifar-10-batches-bin", files)

    def training_images(self, root: Path) -> Tensor:
        """Return the training images, uint8 [50000, 3, 32, 32]."""
        return torch.cat([self._images(root, file) for file in self.files[:-1]])

    def test_images(self, root: Path) -> Tensor:
        """Return the test images, uint8 [10000, 3, 32, 32]."""
        return self._images(root, self.files[-1])

    def download(self, root: Path) -> None:
        """Download the archive, check its digest and unpack it."""
        from torchvision.datasets.utils import download_and_extract_archive

        download_and_extract_archive(_ADDRESS, str(root), md5=_MD5, remove_finished=True)

    def _images(self, root: Path, file: SetFile) -> Tensor:
        records = np.frombuffer(self.checked(root, file), dtype=np.uint8).reshape(-1, _RECORD)
        if records[:, 0].max() >= _LABELS:
            raise DataError(f"{self._path(root, file)} is not CIFAR-10: a label is above 9; {self.again(root)}")
        return torch.from_numpy(records[:, 1:].copy()).view(-1, 3, 32, 32)


CIFAR10 = Cifar10()
