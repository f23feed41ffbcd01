"""Data sets in MATLAB files: OMNIGLOT, Caltech-101 silhouettes. SciPy reads them and runs no code in them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from torch import Tensor

from iafsweep.config import SourceFacts, source_facts
from iafsweep.data.images import Array
from iafsweep.data.source import FileSet, SetFile, download_file
from iafsweep.errors import DataError

_BROKEN = (
    MatReadError, zlib.error, KeyError, ValueError, TypeError, NotImplementedError, EOFError, OSError, MemoryError,
)  # fmt: skip
"""What SciPy raises for files that are broken, of another version or not MATLAB files."""


class MatlabSet(FileSet):
    """A data set in one file, with a matrix per part whose rows or columns are images, stored column by column.

    Args:
        title: name of the set.
        folder: folder of its file, below the folder of data sets.
        file: the file.
        facts: facts about the set.
        training: matrices of training images, validation images last, by name, with their numbers of images.
        test: name of the matrix of test images.
        url: address of the file.
        is_upright: whether an image is a column of its matrix.
        is_inverted: whether objects are zeros on ones.
    """

    def __init__(
        self,
        title: str,
        folder: str,
        file: SetFile,
        facts: SourceFacts,
        training: Mapping[str, int],
        test: str,
        url: str,
        *,
        is_upright: bool = False,
        is_inverted: bool = False,
    ) -> None:
        super().__init__(title, folder, (file,))
        self._facts, self._training, self._test, self._url = facts, training, test, url
        self._is_upright, self._is_inverted = is_upright, is_inverted

    def training_images(self, root: Path) -> Tensor:
        """Return the training images, followed by the file's validation images if any, uint8 [N, 1, 28, 28]."""
        return self._images(root, self._training)

    def test_images(self, root: Path) -> Tensor:
        """Return the test images, uint8 [N, 1, 28, 28]."""
        return self._images(root, {self._test: self._facts.test_images})

    def download(self, root: Path) -> None:
        """Download the file."""
        download_file(self._url, root / self.folder)

    def _images(self, root: Path, names: Mapping[str, int]) -> Tensor:
        content, path = self.checked(root, self.files[0]), self._path(root, self.files[0])
        try:
            found = loadmat(io.BytesIO(content), variable_names=list(names))
            return torch.cat([self._matrix(found[name], count) for name, count in names.items()])
        except _BROKEN as error:
            said = ", ".join(f"`{name}` of {count:,} images" for name, count in names.items())
            raise DataError(f"{path} is not a MATLAB file with {said} ({error}); {self.again(root)}") from None

    def _matrix(self, matrix: Array, count: int) -> Tensor:
        _, height, width = self._facts.image_shape
        rows = np.asarray(matrix.T if self._is_upright else matrix, dtype=np.float64)
        if rows.shape != (count, height * width):
            raise ValueError(f"found {' x '.join(map(str, rows.shape))} values")
        if not (rows.min() >= 0 and rows.max() <= 1):
            raise ValueError("some values are outside 0 to 1")
        values = np.rint((1 - rows if self._is_inverted else rows) * (self._facts.levels - 1)).astype(np.uint8)
        return torch.from_numpy(values).view(count, 1, width, height).transpose(2, 3).contiguous()


OMNIGLOT = MatlabSet(
    "OMNIGLOT",
    "omniglot",
    SetFile("chardata.mat", checksum="21ecaf34373511aa7691cf2e0802aa3d"),
    source_facts("omniglot"),
    {"data": 24_345},
    "testdata",
    "https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat",
    is_upright=True,
)
CALTECH101_SILHOUETTES = MatlabSet(
    "Caltech-101 silhouettes",
    "caltech101_silhouettes",
    SetFile("caltech101_silhouettes_28_split1.mat"),
    source_facts("caltech101_silhouettes"),
    {"train_data": 4_100, "val_data": 2_264},
    "test_data",
    "https://people.cs.umass.edu/~marlin/data/caltech101_silhouettes_28_split1.mat",
    is_inverted=True,  # objects are zeros in the file; they are usually shown white on black
)
