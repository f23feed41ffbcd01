"""`mnist_mini`: the first 10,000 training and 1,000 test images of MNIST, shipped in the package; needs no download."""

from __future__ import annotations

import lzma
from pathlib import Path

from torch import Tensor

from iafsweep.config import source_facts
from iafsweep.data.idx import parse_images
from iafsweep.errors import DataError

FACTS = source_facts("mnist_mini")
FOLDER = Path(__file__).parent / "mnist_mini_files"
TRAINING_NAME = "train-images-idx3-ubyte.xz"
TEST_NAME = "t10k-images-idx3-ubyte.xz"
_REMEDY = "the installation is damaged: install the package again"


def missing(root: Path) -> list[Path]:
    """Return an empty list: the images are in the package, so ``root`` is not used."""
    return []


def prepare(root: Path) -> None:
    """Do nothing: the images are in the package, so ``root`` is not used."""


def training_images(root: Path) -> Tensor:
    """Return the training images, uint8 [10000, 1, 28, 28]; ``root`` is not used.

    Raises:
        DataError: the file in the package is missing or damaged.
    """
    return _read(TRAINING_NAME, FACTS.training_images)


def test_images(root: Path) -> Tensor:
    """Return the test images, uint8 [1000, 1, 28, 28]; ``root`` is not used.

    Raises:
        DataError: the file in the package is missing or damaged.
    """
    return _read(TEST_NAME, FACTS.test_images)


def _read(name: str, images: int) -> Tensor:
    path = FOLDER / name
    try:
        content = lzma.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} is missing; {_REMEDY}") from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path} cannot be unpacked ({error}); {_REMEDY}") from error
    _, height, width = FACTS.image_shape
    return parse_images(content, images, height, width, str(path), _REMEDY)
