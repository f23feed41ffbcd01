"""From a configuration to tensors: training, validation and test images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from iafsweep.config import SOURCES, DataConfig
from iafsweep.data.fingerprint import fingerprint
from iafsweep.records import Fingerprint, Split
from iafsweep.seeds import generator


class Source(Protocol):
    """What a data source's module offers; ``root`` is the folder under which downloaded sets are kept."""

    def prepare(self, root: Path) -> None:
        """Make sure that the files are there."""

    def training_images(self, root: Path) -> Tensor:
        """Return all training images, uint8 [N, channels, height, width]."""

    def test_images(self, root: Path) -> Tensor:
        """Return all test images, uint8 [N, channels, height, width]."""


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """What training may see: no test images.

    Attributes:
        training: uint8 [N, channels, height, width].
        validation: uint8 [V, channels, height, width]; V may be 0.
    """

    training: Tensor
    validation: Tensor

    def __iter__(self) -> Iterator[Tensor]:
        """Iterate over both."""
        return iter((self.training, self.validation))

    @cached_property
    def fingerprints(self) -> dict[Split, Fingerprint]:
        """What tells them from others, made once."""
        return {"train": fingerprint(self.training), "validation": fingerprint(self.validation)}

    def to(self, device: torch.device) -> TrainingImages:
        """Return both on ``device``."""
        return TrainingImages(self.training.to(device), self.validation.to(device))


def load_training_images(config: DataConfig, root: Path) -> TrainingImages:
    """Return training and validation images: the split is fixed by ``config.split_seed`` alone.

    The test file is checked too, so that a run does not find out at its end that it cannot be scored.

    Raises:
        DataError: a file is missing, truncated or not what it should be.
    """
    source: Source = SOURCES.load(config.source)
    source.prepare(root)
    images = source.training_images(root)
    source.test_images(root)
    order = torch.randperm(len(images), generator=generator("cpu", config.split_seed, "split"))
    held_out = order[: config.held_out].sort().values
    kept = order[config.held_out :].sort().values
    return TrainingImages(images[kept], images[held_out])


def load_test_images(config: DataConfig, root: Path) -> Tensor:
    """Return the test images, uint8 [N, channels, height, width]; for evaluation only.

    Raises:
        DataError: the file is missing, truncated or not what it should be.
    """
    source: Source = SOURCES.load(config.source)
    source.prepare(root)
    return source.test_images(root)
