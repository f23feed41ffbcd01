"""Sizes and padding that networks derive from the shape of an image."""

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
    """Return the height and width of an image that is padded to multiples of four and then halved twice."""
    _, height, width = image_shape
    return -(-height // 4), -(-width // 4)


def padded(x: Tensor) -> Tensor:
    """Pad images [B, C, height, width] with zeros to multiples of four; return those that need none unchanged."""
    around = _around(x.shape[-2:])
    return F.pad(x, around) if any(around) else x


def cropped(maps: Tensor, image_shape: ImageShape) -> Tensor:
    """Crop maps [B, M, ...] of a padded image to the image itself, [B, M, height, width]."""
    around = _around(image_shape[1:])
    # Not a slice: its gradient is channels-first, and would make those of all earlier maps so.
    return F.pad(maps, [-zeros for zeros in around]) if any(around) else maps


def _around(size: Sequence[int]) -> list[int]:
    """Return the zeros left, right, above and below an image of this height and width; odd ones go right or below."""
    height, width = (-each % 4 for each in size)
    return [width // 2, width - width // 2, height // 2, height - height // 2]
