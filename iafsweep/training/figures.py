"""Image grids of a model and of its data."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from iafsweep.atomic import replacing
from iafsweep.models import VAE
from iafsweep.models.mode import eval_mode
from iafsweep.seeds import generator

_ROW = 10


def sample_grid(model: VAE, device: torch.device, seed: int, count: int = 100) -> Tensor:
    """Return a grid of new images (pixel probabilities) from the prior through the trained decoder, [C, H, W]."""
    with eval_mode(model):
        return data_grid(model.sample(count, generator(device, seed, "samples")))


def reconstruction_grid(model: VAE, bits: Tensor, seed: int) -> Tensor:
    """Return a grid of inputs, each with its reconstruction to its right, [C, H, W].

    Args:
        model: the autoencoder.
        bits: the inputs, float [N, C, H, W].
        seed: seed of the posterior samples.
    """
    with eval_mode(model):
        probabilities = model.reconstruct(bits, generator(bits.device, seed, "reconstructions"))
    return data_grid(torch.stack([bits, probabilities], dim=1).flatten(0, 1))


def data_grid(images: Tensor) -> Tensor:
    """Return a grid of images [N, C, H, W] as they are, ten in a row, [C, H', W']."""
    from torchvision.utils import make_grid

    grid: Tensor = make_grid(images.float().cpu(), nrow=_ROW, padding=2, pad_value=0.5)
    # torchvision repeats the channel of grey images three times, which would all be compressed.
    return grid[: images.shape[1]]


def save_png(path: Path, grid: Tensor) -> None:
    """Write a grid as a PNG file, atomically."""
    pixels = (grid.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).squeeze(-1).numpy()
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
