"""``run.log`` and TensorBoard: what a run says of itself while it goes."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from iafsweep.records import EpochMetrics


def open_log(path: Path) -> logging.Logger:
    """Return a logger that appends lines with their time to ``path``; it belongs to no global tree of loggers."""
    logger = logging.Logger("iafsweep")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger


def close_log(logger: logging.Logger) -> None:
    """Close the files of a logger made by :func:`open_log`."""
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)


class Curves:
    """TensorBoard events of one run: a scalar a figure and epoch, and image grids."""

    def __init__(self, folder: Path, first_epoch: int) -> None:
        """Write under ``folder``; events of an earlier attempt from ``first_epoch`` on are purged."""
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch if first_epoch > 1 else None)

    def add_config(self, toml: str) -> None:
        """Show the configuration as text."""
        self._writer.add_text("config", "    " + toml.replace("\n", "\n    "))

    def add_metrics(self, metrics: EpochMetrics) -> None:
        """Add a point to every curve."""
        for name, value in metrics.model_dump(exclude={"epoch"}).items():
            if value is not None:
                self._writer.add_scalar(name.replace("_", "/", 1), value, metrics.epoch)

    def add_image(self, name: str, grid: Tensor, epoch: int) -> None:
        """Add an image grid [C, H, W]."""
        self._writer.add_image(name, grid, epoch)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
