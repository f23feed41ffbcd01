"""The pictures of a run: data, samples and reconstructions, and the epochs after which they are drawn."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import final

import torch
from PIL import Image
from torch import Tensor

from iafsweep.atomic import replacing
from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, seen
from iafsweep.models import VAE
from iafsweep.models.precision import eval_mode
from iafsweep.records import Split
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.seeds import generator
from iafsweep.training.run_log import Curves

_TILES = 100
_MOST_PIXELS = 1_000_000
"""Limit of pixels per picture, so that it fits into a report; of large images fewer are shown, at least one row."""
_ROW = 10
_SHOWN_CHANNELS = (1, 3)
_GAP, _GREY = 2, 0.5
"""The gap between the images of a grid: width in pixels, and grey value from 0 to 1."""


@final
class Pictures:
    """Draws the data, samples and reconstructions of a run into its folder, always with the same images and noise."""

    def __init__(self, config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device) -> None:
        self._folder = folder
        self._device = device
        self._seed = config.training.seed
        self._inputs = _shown(images, config).to(device)
        self._largest = config.image_format.levels - 1
        self._drawn_epoch: int | None = None

    def draw_data(self) -> None:
        """Draw the images that the reconstructions show."""
        _write(self._folder.data, png_of(data_grid(self._inputs / self._largest)))

    def draw(self, model: VAE, epoch: int, curves: Curves) -> None:
        """Draw samples and reconstructions after an epoch, to files and TensorBoard; only once per epoch."""
        if self._drawn_epoch == epoch:
            return
        self._drawn_epoch = epoch
        grids = {
            self._folder.samples: sample_grid(model, self._device, self._seed),
            self._folder.reconstructions: reconstruction_grid(model, self._inputs, self._seed),
        }
        for path, grid in grids.items():
            png = png_of(grid)  # only once, because encoding dominates the cost
            _write(path, png)
            curves.add_image(path.stem, png, grid.shape, epoch)


def is_drawn(epoch: int) -> bool:
    """Return whether pictures are drawn after this epoch: 1, 2, 5, 10, 20, 50, 100, ..."""
    return epoch in {digit * 10**power for digit in (1, 2, 5) for power in range(len(str(epoch)))}


def _shown(images: TrainingImages, config: RunConfig) -> Tensor:
    """Return the images of the pictures as the model sees them: validation images, or training images if none."""
    split: Split = "validation" if len(images.validation) else "train"
    grey = images.validation if len(images.validation) else images.training
    return seen(grey[: _tiles(config.image_format.shape) // 2], config.data, split)


def _tiles(shape: tuple[int, int, int]) -> int:
    """Number of images of a shape in a grid, in whole rows."""
    _, height, width = shape
    return max(_ROW, min(_TILES, _MOST_PIXELS // (height * width)) // _ROW * _ROW)


def sample_grid(model: VAE, device: torch.device, seed: int) -> Tensor:
    """Return a grid of new images from `VAE.sample`, [C, H, W]."""
    with eval_mode(model):
        return data_grid(model.sample(_tiles(model.image_shape), generator(device, seed, "samples")))


def reconstruction_grid(model: VAE, images: Tensor, seed: int) -> Tensor:
    """Return a grid of inputs, each with its reconstruction to the right, [C, H, W].

    With an autoregressive decoder the reconstruction is a draw, and a third image shows the most probable value of each
    pixel given the latent variables and the input's own earlier pixels; a third of the inputs are then left out.

    Args:
        model: the autoencoder.
        images: the inputs as the model sees them, float [N, C, H, W].
        seed: of the posterior samples.
    """
    ways, columns = [model.reconstruct], _ROW
    if model.likelihood.is_autoregressive:
        ways, columns = [model.reconstruct, model.predict], _ROW - 1
        images = images[: max(columns // 3, len(images) * 2 // 3)]
    with eval_mode(model):
        shown = [way(images, generator(images.device, seed, "reconstructions")) for way in ways]
    return data_grid(torch.stack([images / (model.image.levels - 1), *shown], dim=1).flatten(0, 1), columns)


def data_grid(images: Tensor, columns: int = _ROW) -> Tensor:
    """Return a grid [C, H', W'] of images [N, C, H, W] with values from 0 to 1, at most ``columns`` per row.

    Three channels are shown as colours, one as grey; of any other number the mean is shown as grey.
    """
    if images.shape[1] not in _SHOWN_CHANNELS:
        images = images.mean(1, keepdim=True)
    count, channels, height, width = images.shape
    columns = min(columns, count)
    # Like torchvision's make_grid, whose import would cost each process of a sweep a second.
    size = [-(-count // columns) * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP]
    grid = torch.full([channels, *size], _GREY)
    for place, image in enumerate(images.float().cpu()):
        row, column = divmod(place, columns)
        top, left = row * (height + _GAP) + _GAP, column * (width + _GAP) + _GAP
        grid[:, top : top + height, left : left + width] = image
    return grid


def png_of(grid: Tensor) -> bytes:
    """Return a grid as a PNG file."""
    pixels = (grid.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).squeeze(-1).numpy()
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def _write(path: Path, png: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(png)
