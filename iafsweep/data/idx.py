"""The IDX image format of MNIST: a big-endian header (magic 2051, images, rows, columns), then one byte per pixel."""

from __future__ import annotations

import struct

import torch
from torch import Tensor

from iafsweep.errors import DataError

HEADER = struct.Struct(">IIII")
MAGIC = 2051


def image_header(images: int, height: int, width: int) -> bytes:
    """Return the header of an IDX file of ``images`` images."""
    return HEADER.pack(MAGIC, images, height, width)


def parse_images(content: bytes, images: int, height: int, width: int, name: str, remedy: str) -> Tensor:
    """Return the images of an IDX file.

    Args:
        content: the whole file.
        images: expected number of images.
        height: expected number of rows of an image.
        width: expected number of columns of an image.
        name: the file's name, for messages.
        remedy: what to do if the file is wrong, for messages.

    Returns:
        uint8 [images, 1, height, width].

    Raises:
        DataError: the file is truncated, or is not an IDX file of these sizes.
    """
    if not content.startswith(image_header(images, height, width)):
        raise DataError(f"{name} is not the expected file ({images:,} images of {height}x{width}); {remedy}")
    expected = HEADER.size + images * height * width
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise DataError(f"{name} is {state}: {len(content):,} bytes, expected {expected:,}; {remedy}")
    # bytearray: PyTorch warns if the memory of a tensor is read-only.
    pixels = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=HEADER.size)
    return pixels.view(images, 1, height, width)
