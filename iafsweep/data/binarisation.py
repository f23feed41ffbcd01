"""Binarisation: x = 1 where p + u >= 1, with p = level / (L - 1) and u ~ U[0, 1), so that P(x = 1) = p.

Alternatively x = 1 where p >= 1/2 (`threshold`), or x is the level itself (`none`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from iafsweep.config import DataConfig
from iafsweep.records import Split
from iafsweep.seeds import generator

_BLOCK = 100
"""Images that share a generator in a fixed binarisation; changing this changes the bits."""


See = Callable[[Tensor, torch.Generator], Tensor]
"""Maps a batch of training images, uint8, and a generator on their device to what the model sees, float32."""


def seen(images: Tensor, config: DataConfig, split: Split, first: int = 0, seed: int | None = None) -> Tensor:
    """Return what a model sees of images in scoring, which is the same each time.

    Args:
        images: uint8 [N, channels, height, width], a contiguous part of a split.
        config: states whether and how to binarise.
        split: which split; random bits depend on it.
        first: index of the part's first image in the split.
        seed: seed of random bits; None: the configuration's.

    Returns:
        float32, of the same shape, on the images' device: bits, or levels.
    """
    levels = config.facts.levels
    if config.draws_bits:
        return fixed_binarisation(images, split, config.binarisation_seed if seed is None else seed, first, levels)
    if config.resolved_binarisation == "threshold":
        return (2 * images.int() >= levels - 1).float()
    return images.float()


def seen_in_training(images: Tensor, config: DataConfig) -> tuple[Tensor, See]:
    """Return the training images to keep in memory, uint8, and the function from a batch of them to the model's input.

    Dynamic binarisation is drawn for each batch; any other is computed once, here.
    """
    if config.resolved_binarisation == "dynamic":
        return images, partial(binarise, levels=config.facts.levels)
    kept = images if config.resolved_binarisation == "none" else seen(images, config, "train").byte()
    return kept, _as_they_are


def _as_they_are(images: Tensor, noise: torch.Generator) -> Tensor:  # noqa: ARG001 - a See draws from it
    return images.float()


def binarise(images: Tensor, noise: torch.Generator, levels: int = 256) -> Tensor:
    """Return a fresh random binarisation of ``images``.

    Args:
        images: uint8 [..., X].
        noise: generator on the images' device.
        levels: L, the number of values a pixel can have.

    Returns:
        float32 [..., X] of zeros and ones.
    """
    uniform = torch.rand(images.shape, generator=noise, device=images.device)
    return _bits(images, uniform, levels)


def fixed_binarisation(images: Tensor, split: Split, seed: int, first: int = 0, levels: int = 256) -> Tensor:
    """Return the binarisation of ``images`` that belongs to ``seed``, identical in every call and on every device.

    The bits of an image depend only on the seed, the split and the image's index in it, so a part of a split has the
    same bits as in the whole split. They are drawn on the CPU, block by block.

    Args:
        images: uint8 [N, X...], a contiguous part of a split.
        split: which split, part of the seed.
        seed: the binarisation seed.
        first: index of the part's first image in the split.
        levels: L, the number of values a pixel can have.

    Returns:
        float32 [N, X...] of zeros and ones on the images' device.
    """
    parts = []
    last = first + len(images)
    for block in range(first // _BLOCK, -(-last // _BLOCK)):
        start, stop = block * _BLOCK, (block + 1) * _BLOCK
        noise = generator("cpu", seed, "binarisation", split, block)
        uniform = torch.rand((_BLOCK, *images.shape[1:]), generator=noise)
        here = slice(max(start, first) - start, min(stop, last) - start)
        grey = images[max(start, first) - first : min(stop, last) - first]
        parts.append(_bits(grey, uniform[here].to(images.device), levels))
    return torch.cat(parts) if parts else images.float()


def _bits(images: Tensor, uniform: Tensor, levels: int) -> Tensor:
    """Return float32 zeros and ones; the integer part of the sum would be 2 where 1 + (1 - 2^-24) is rounded up."""
    return (images / (levels - 1) + uniform).ge_(1)
