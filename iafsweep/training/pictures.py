"""The pictures of a run: which images they show, and after which epochs they are drawn."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, fixed_binarisation
from iafsweep.models import VAE
from iafsweep.records import Split
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training.figures import data_grid, reconstruction_grid, sample_grid, save_png
from iafsweep.training.run_log import Curves

_SHOWN = 50


@final
class Pictures:
    """Draws the data, samples and reconstructions of a run into its folder, always of the same images and noise."""

    def __init__(self, config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device) -> None:
        self._folder = folder
        self._device = device
        self._seed = config.training.seed
        self._bits = _shown(images, config).to(device)
        self._drawn_epoch: int | None = None

    def draw_data(self) -> None:
        """Draw the images that reconstructions are of."""
        save_png(self._folder.data, data_grid(self._bits))

    def draw(self, model: VAE, epoch: int, curves: Curves) -> None:
        """Draw samples and reconstructions as of an epoch, into files and TensorBoard; once an epoch."""
        if self._drawn_epoch == epoch:
            return
        self._drawn_epoch = epoch
        grids = {
            self._folder.samples: sample_grid(model, self._device, self._seed),
            self._folder.reconstructions: reconstruction_grid(model, self._bits, self._seed),
        }
        for path, grid in grids.items():
            save_png(path, grid)
            curves.add_image(path.stem, grid, epoch)


def is_drawn(epoch: int) -> bool:
    """Return whether pictures are drawn after this epoch: 1, 2, 5, 10, 20, 50, 100, ..."""
    return epoch in {digit * 10**power for digit in (1, 2, 5) for power in range(len(str(epoch)))}


def _shown(images: TrainingImages, config: RunConfig) -> Tensor:
    """Bits of the images that pictures show: the first validation images, or training images where there are none."""
    split: Split = "validation" if len(images.validation) else "train"
    grey = images.validation if len(images.validation) else images.training
    return fixed_binarisation(grey[:_SHOWN], split, config.data.binarisation_seed)
