"""Checks of what a user hands to a model: one message in words instead of an error deep inside PyTorch, or silence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from iafsweep.config import ImageFormat


def checked_images(x: Tensor, image: ImageFormat, like: Tensor) -> Tensor:
    """Return images as a model takes them, in its dtype, on its device: bits or probabilities from 0 to 1, or levels.

    Args:
        x: [B, *shape] of truth values, whole or floating-point numbers, on any device.
        image: shape and levels.
        like: a tensor of the model's dtype on its device.

    Raises:
        TypeError: no tensor, or one of complex numbers.
        ValueError: images of another shape, or a value (NaN is one) outside 0 to 1, or that is none of the levels.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"images must be a torch.Tensor, got {_kind(x)}; make one with torch.as_tensor(images)")
    if x.is_complex():
        raise TypeError(f"images must be real numbers, got {x.dtype}")
    if tuple(x.shape[1:]) != image.shape:
        wanted = ", ".join(str(size) for size in image.shape)
        raise ValueError(f"expected images of shape [B, {wanted}], got {list(x.shape)}")
    if image.dimensions is not None:
        if not are_levels(x, image):
            raise ValueError(
                f"images must hold whole levels from 0 to {image.levels - 1}; of shares from 0 to 1: "
                f"(images * {image.levels - 1}).round()"
            )
    elif x.dtype != torch.bool and not bool(((x >= 0) & (x <= 1)).all()):
        raise ValueError(
            "images must hold zeros and ones, or probabilities from 0 to 1; "
            "binarise grey values from 0 to 255 first: iafsweep.data.binarise"
        )
    return x.to(like.device, like.dtype)


def are_levels(x: Tensor, image: ImageFormat) -> bool:
    """Return whether every value is one of the levels 0 to L - 1; of bits: whether there is no probability."""
    return bool(((x >= 0) & (x <= image.levels - 1) & (x == x.round())).all()) if x.dtype != torch.bool else True


def checked_whole(name: str, value: Any, least: int) -> int:  # noqa: ANN401 - it finds out what it is
    """Return a whole number of any integer type as an int.

    Raises:
        TypeError: it is none; a truth value is none either.
        ValueError: it is below ``least``.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or isinstance(value, Tensor):
        raise TypeError(f"{name} must be a whole number, got {_kind(value)} {value!r}")
    if (number := int(value.__index__())) < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    return number


def checked_generator(generator: torch.Generator | None) -> torch.Generator:
    """Return the generator given; without one, one of its own seeded with 0: never PyTorch's global one.

    Raises:
        TypeError: it is neither.
    """
    if generator is None:
        return torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator or None, got {_kind(generator)} {generator!r}; "
            f"one with a seed is torch.Generator().manual_seed(1)"
        )
    return generator


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
