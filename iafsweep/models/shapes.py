"""Sizes that networks derive from the shape of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

ImageShape = tuple[int, int, int]
"""Channels, height, width."""


def pixel_count(image_shape: ImageShape) -> int:
    """Return X, the number of values in one image (channels included)."""
    return math.prod(image_shape)


def quarter_size(image_shape: ImageShape) -> tuple[int, int]:
    """Return height and width after halving twice, of an image padded to multiples of four."""
    _, height, width = image_shape
    return -(-height // 4), -(-width // 4)


def padded(x: Tensor) -> Tensor:
    """Return images [B, C, height, width] with zeros around them, to multiples of four; such images as they are."""
    around = _around(x.shape[-2:])
    return F.pad(x, around) if any(around) else x


def cropped(maps: Tensor, image_shape: ImageShape) -> Tensor:
    """Return what lies over the image of maps [B, M, ...] that were made for the padded one: [B, M, height, width]."""
    around = _around(image_shape[1:])
    # No slice: its gradient would be channels-first, and with it those of all maps before it.
    return F.pad(maps, [-zeros for zeros in around]) if any(around) else maps


def _around(size: Sequence[int]) -> list[int]:
    """Zeros left, right, above and below an image of this height and width; the odd one is right or below."""
    height, width = (-each % 4 for each in size)
    return [width // 2, width - width // 2, height // 2, height - height // 2]
