"""Full MNIST: 60,000 training and 10,000 test images of handwritten digits (LeCun, Cortes, Burges).

Two files of images are read from ``ROOT/MNIST/raw``, where torchvision keeps them, or their ``.gz`` beside; downloaded
once through torchvision if one is not there. Labels are not read.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path

from filelock import FileLock
from torch import Tensor

from iafsweep.config import source_facts
from iafsweep.data.idx import HEADER, parse_images
from iafsweep.errors import DataError

FACTS = source_facts("mnist")
RAW = Path("MNIST") / "raw"
TRAINING_FILE = "train-images-idx3-ubyte"
TEST_FILE = "t10k-images-idx3-ubyte"
# Other sets (Fashion-MNIST, KMNIST) have files of the same names and sizes: only the content tells.
SHA256 = {
    TRAINING_FILE: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TEST_FILE: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
}


IMAGES = {TRAINING_FILE: FACTS.training_images, TEST_FILE: FACTS.test_images}


def prepare(root: Path) -> None:
    """Make sure that both image files are under ``root``, downloading them if need be.

    A lock file keeps processes that start together from downloading at the same time.

    Raises:
        DataError: the folder cannot be written, or the download failed.
    """
    try:
        if not _missing(root):
            return
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".mnist.lock"):
            if _missing(root):
                _download(root)
    except OSError as error:
        raise DataError(f"cannot put MNIST under {root}: {error}; {_remedy(root)}") from error


def training_images(root: Path) -> Tensor:
    """Return the training images, uint8 [60000, 1, 28, 28].

    Raises:
        DataError: the file is missing, truncated or another set's.
    """
    return _read(root, TRAINING_FILE)


def test_images(root: Path) -> Tensor:
    """Return the test images, uint8 [10000, 1, 28, 28].

    Raises:
        DataError: the file is missing, truncated or another set's.
    """
    return _read(root, TEST_FILE)


def _missing(root: Path) -> list[str]:
    return [name for name in SHA256 if not _path(root, name).is_file()]


def _path(root: Path, name: str) -> Path:
    """The file; where it is not there, what it is packed in."""
    path = root / RAW / name
    return path if path.is_file() else path.with_name(f"{name}.gz")


def _size(name: str) -> int:
    return HEADER.size + IMAGES[name] * math.prod(FACTS.image_shape)


def _remedy(root: Path) -> str:
    files = " and ".join(f"{name} ({_size(name):,} bytes)" for name in IMAGES)
    return (
        f"put {files}, as they are or with .gz, into {root / RAW}, or name another folder with --data-root or "
        f"IAFSWEEP_DATA, or take data.source = 'mnist_mini', which needs no files"
    )


def _download(root: Path) -> None:
    from torchvision.datasets import MNIST

    try:
        MNIST(root, train=True, download=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        missing = " and ".join(_missing(root))
        raise DataError(f"{missing} of MNIST missing, and no download ({error}); {_remedy(root)}") from error


def _read(root: Path, name: str) -> Tensor:
    path = _path(root, name)
    remedy = f"delete it and let it be downloaded again, or {_remedy(root)}"
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_size(name) + 1)
    except FileNotFoundError:
        raise DataError(f"{root / RAW / name} is missing; {_remedy(root)}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked ({error}); {remedy}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}; {_remedy(root)}") from error
    _, height, width = FACTS.image_shape
    pixels = parse_images(content, IMAGES[name], height, width, str(path), remedy)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise DataError(f"{path} has the right size but is not MNIST (another set, or damaged); {remedy}")
    return pixels
