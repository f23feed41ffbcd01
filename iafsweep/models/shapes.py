"""Sizes that networks derive from the shape of an image."""

from __future__ import annotations

import math

ImageShape = tuple[int, int, int]
"""Channels, height, width."""


def pixel_count(image_shape: ImageShape) -> int:
    """Return X, the number of values in one image (channels included)."""
    return math.prod(image_shape)


def quarter_size(image_shape: ImageShape) -> tuple[int, int]:
    """Return height and width after halving twice.

    Raises:
        ValueError: height or width is not a multiple of four, so that doubling twice would not give the image back.
    """
    _, height, width = image_shape
    if height % 4 or width % 4:
        raise ValueError(
            f"convolution networks halve an image twice: height and width must be multiples of 4, got "
            f"{height} x {width}; pad the images or take the `mlp` networks"
        )
    return height // 4, width // 4
