"""Full MNIST: 60,000 training and 10,000 test images of handwritten digits (LeCun, Cortes, Burges).

Read from ``ROOT/MNIST/raw``, where torchvision keeps it; downloaded once through torchvision if it is not there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from filelock import FileLock
from torch import Tensor

from iafsweep.config import SOURCES
from iafsweep.data.idx import parse_images
from iafsweep.errors import DataError

FACTS = SOURCES["mnist"]
RAW = Path("MNIST") / "raw"
TRAINING_FILE = "train-images-idx3-ubyte"
TEST_FILE = "t10k-images-idx3-ubyte"
# Other sets (Fashion-MNIST, KMNIST) have files of the same names and sizes: only the content tells.
SHA256 = {
    TRAINING_FILE: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TEST_FILE: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
}


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
    return _read(root, TRAINING_FILE, FACTS.training_images)


def test_images(root: Path) -> Tensor:
    """Return the test images, uint8 [10000, 1, 28, 28].

    Raises:
        DataError: the file is missing, truncated or another set's.
    """
    return _read(root, TEST_FILE, FACTS.test_images)


def _missing(root: Path) -> list[str]:
    return [name for name in SHA256 if not (root / RAW / name).is_file()]


def _remedy(root: Path) -> str:
    return (
        f"put the four MNIST files under {root / RAW}, or name another folder with --data-root or IAFSWEEP_DATA, "
        f"or take data.source = 'mnist_mini', which needs no files"
    )


def _download(root: Path) -> None:
    from torchvision.datasets import MNIST

    try:
        MNIST(root, train=True, download=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise DataError(f"could not download MNIST ({error}); {_remedy(root)}") from error


def _read(root: Path, name: str, images: int) -> Tensor:
    path = root / RAW / name
    remedy = f"delete it and let it be downloaded again, or {_remedy(root)}"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is missing; {_remedy(root)}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}; {_remedy(root)}") from error
    _, height, width = FACTS.image_shape
    pixels = parse_images(content, images, height, width, str(path), remedy)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise DataError(f"{path} has the right size but is not MNIST (another set, or damaged); {remedy}")
    return pixels
