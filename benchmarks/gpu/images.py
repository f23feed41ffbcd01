"""Which images there are: MNIST where it is, else those inside the package; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from benchmarks.gpu.context import Context
from iafsweep.config import DataConfig
from iafsweep.data import fixed_binarisation, load_test_images
from iafsweep.data.idx_sets import MNIST, TEST_FILE, TRAINING_FILE
from iafsweep.data_root import default_data_root


def data_config(context: Context) -> DataConfig:
    """Return the data section of a configuration, and remark if it is not MNIST."""
    folder = root() / MNIST.folder
    if all((folder / name).is_file() for name in (TRAINING_FILE, TEST_FILE)):
        return DataConfig(source="mnist")
    if not context.figures.get("remarks"):
        context.remark("MNIST is not in the folder that IAFSWEEP_DATA names: 10,000 of its images instead")
    return DataConfig(source="mnist_mini")


def root() -> Path:
    """Return the folder of data sets."""
    return default_data_root().expanduser().absolute()


def first_bits(context: Context, count: int) -> Tensor:
    """Return bits of the first test images, [B, X...], on the CPU."""
    config = data_config(context)
    return fixed_binarisation(load_test_images(config, root())[:count], "test", config.binarisation_seed)
