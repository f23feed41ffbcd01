"""Grey values become bits: x = 1 where p + u >= 1, u ~ U[0, 1), p = pixel / 255, so that P(x = 1) = p."""

from __future__ import annotations

import torch
from torch import Tensor

from iafsweep.records import Split
from iafsweep.seeds import generator

_BLOCK = 100
"""Images that share one generator in a fixed binarisation; another number would give other bits."""


def binarise(images: Tensor, noise: torch.Generator) -> Tensor:
    """Return a fresh random binarisation of ``images``.

    Args:
        images: uint8 [..., X].
        noise: generator on the images' device.

    Returns:
        float32 [..., X] of zeros and ones.
    """
    uniform = torch.rand(images.shape, generator=noise, device=images.device)
    return _bits(images, uniform)


def fixed_binarisation(images: Tensor, split: Split, seed: int, first: int = 0) -> Tensor:
    """Return the one binarisation of ``images`` that belongs to ``seed``: the same in every call and on every device.

    Bits of an image depend on the seed, the split and the image's place in it alone, so that a part of a split has the
    bits that it has in the whole. They are drawn on the CPU, block by block.

    Args:
        images: uint8 [N, X...], a contiguous part of a split.
        split: which split, part of the seed.
        seed: the binarisation seed.
        first: place of the part's first image in the split.

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
        parts.append(_bits(grey, uniform[here].to(images.device)))
    return torch.cat(parts) if parts else images.float()


def _bits(images: Tensor, uniform: Tensor) -> Tensor:
    """Float32 zeros and ones. The whole part of the sum would be 2 where 1 + (1 - 2^-24) is rounded."""
    return (images / 255 + uniform).ge_(1)
