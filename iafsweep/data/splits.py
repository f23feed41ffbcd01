"""From a configuration to tensors: training, validation and test images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from iafsweep.config import SOURCES, DataConfig
from iafsweep.data.fingerprint import fingerprint
from iafsweep.data.images import Images
from iafsweep.data.reading import read_images
from iafsweep.data.source import Source
from iafsweep.errors import DataError
from iafsweep.records import Fingerprint, Split
from iafsweep.seeds import generator


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The images available to training: no test images.

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
        """Fingerprints of both, computed once."""
        return {"train": fingerprint(self.training), "validation": fingerprint(self.validation)}

    def to(self, device: torch.device) -> TrainingImages:
        """Return both on ``device``."""
        return TrainingImages(self.training.to(device), self.validation.to(device))


def look(config: DataConfig, images: Images | None = None) -> tuple[DataConfig, Images | None]:
    """Read your own images, and return the configuration completed by what was found.

    Args:
        config: which images; for a named data set, nothing is read.
        images: your own images, if already loaded; they replace any source.

    Returns:
        The configuration with the facts found and an absolute path, and the images; None for a named data set.

    Raises:
        DataError: the images cannot be used, or differ from those recorded in the configuration.
    """
    if images is None and config.source != "file":
        return config, None
    images = read_images(config) if images is None else images.prepared(config)
    if config.images not in (None, images.found):
        raise DataError(
            f"{images.name}: the images have changed. Recorded: {config.images}; found: {images.found}. Restore the "
            f"earlier images, or start again in a new folder with a configuration without [data.images]"
        )
    return config.model_copy(update={"source": "file", "path": images.path, "images": images.found}), images


def load_training_images(config: DataConfig, root: Path, images: Images | None = None) -> TrainingImages:
    """Return training and validation images; unless the source has its own split, ``split_seed`` determines it.

    The test images are checked too, so that a run does not find out only at its end that it cannot be scored.

    Args:
        config: which images.
        root: folder of data sets.
        images: your own, as :func:`look` returns them; None: they are read if the configuration asks for them.

    Raises:
        DataError: a file is missing, truncated or not what it should be.
    """
    config, images = look(config, images)
    if images is None:
        source: Source = SOURCES.load(config.source)
        source.prepare(root)
        training = source.training_images(root)
        source.test_images(root)
    else:
        training = images.training
    held_out = config.held_out
    if config.facts.validation_is_last:
        order = torch.arange(len(training)).roll(held_out)
    else:
        order = torch.randperm(len(training), generator=generator("cpu", config.split_seed, "split"))
    kept, drawn = order[held_out:].sort().values, order[:held_out].sort().values
    return TrainingImages(training[kept], training[drawn])


def load_test_images(config: DataConfig, root: Path, images: Images | None = None) -> Tensor:
    """Return the test images, uint8 [N, channels, height, width]; for evaluation only.

    Args:
        config: which images.
        root: folder of data sets.
        images: your own, as :func:`look` returns them; None: they are read if the configuration asks for them.

    Raises:
        DataError: the file is missing, truncated or not what it should be.
    """
    images = look(config, images)[1]
    if images is not None:
        return images.test
    source: Source = SOURCES.load(config.source)
    source.prepare(root)
    return source.test_images(root)
