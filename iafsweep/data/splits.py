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


def look(config: DataConfig, images: Images | None = None) -> tuple[DataConfig, Images | None]:
    """Read images of one's own, and say what was found.

    Args:
        config: which images; of a set that has a name nothing is read.
        images: one's own, if they are at hand; they are taken in place of any source.

    Returns:
        The configuration with what was found, its path absolute, and the images; None of a set that has a name.

    Raises:
        DataError: they cannot be used, or are others than the configuration was made with.
    """
    if images is None and config.source != "file":
        return config, None
    images = read_images(config) if images is None else images.prepared(config)
    if config.images not in (None, images.found):
        raise DataError(
            f"{images.name}: other images than before. Known: {config.images}; found: {images.found}. Put back those "
            f"that were there, or begin anew, in a new folder, with a configuration without [data.images]"
        )
    return config.model_copy(update={"source": "file", "path": images.path, "images": images.found}), images


def load_training_images(config: DataConfig, root: Path, images: Images | None = None) -> TrainingImages:
    """Return training and validation images; those that a source does not hold out itself are drawn by ``split_seed``.

    The test file is checked too, so that a run does not find out at its end that it cannot be scored.

    Args:
        config: which images.
        root: folder of data sets.
        images: one's own, as :func:`look` returns them; None: they are read if they are asked for.

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
        images: one's own, as :func:`look` returns them; None: they are read if they are asked for.

    Raises:
        DataError: the file is missing, truncated or not what it should be.
    """
    images = look(config, images)[1]
    if images is not None:
        return images.test
    source: Source = SOURCES.load(config.source)
    source.prepare(root)
    return source.test_images(root)
