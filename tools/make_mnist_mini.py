"""Make the data set that is shipped in the package: `python tools/make_mnist_mini.py DATA_ROOT`.

It takes the first 10,000 training and the first 1,000 test images from the full MNIST files under DATA_ROOT and writes
them as IDX files compressed with xz.
"""

import lzma
import sys
from pathlib import Path

from iafsweep.config import source_facts
from iafsweep.data.idx import HEADER, image_header
from iafsweep.data.idx_sets import MNIST, TEST_FILE, TRAINING_FILE
from iafsweep.data.mnist_mini import FOLDER, TEST_NAME, TRAINING_NAME

# Literal context bits found by trial and error; the plain preset gives files 1 % larger.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def cut(source: Path, count: int, target: Path) -> None:
    """Write the first ``count`` images of ``source`` to ``target``."""
    height, width = source_facts("mnist_mini").image_shape[1:]
    pixels = source.read_bytes()[HEADER.size :][: count * height * width]
    content = image_header(count, height, width) + pixels
    target.write_bytes(lzma.compress(content, format=lzma.FORMAT_XZ, filters=FILTERS))
    print(f"{target.name}: {count:,} images, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    raw = Path(sys.argv[1]) / MNIST.folder
    facts = source_facts("mnist_mini")
    cut(raw / TRAINING_FILE, facts.training_images, FOLDER / TRAINING_NAME)
    cut(raw / TEST_FILE, facts.test_images, FOLDER / TEST_NAME)
