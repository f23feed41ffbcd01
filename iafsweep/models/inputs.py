"""Checks of user input to a model, with clear messages instead of errors deep inside PyTorch, or silence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from iafsweep.config import ImageFormat


def checked_images(x: Tensor, image: ImageFormat, like: Tensor) -> Tensor:
    """Check images (bits or probabilities from 0 to 1, or levels) and return them in the model's dtype on its device.

    Args:
        x: [B, *shape] of booleans, integers or floating-point numbers, on any device.
        image: shape and levels.
        like: a tensor of the model's dtype on its device.

    Raises:
        TypeError: `x` is not a tensor, or is complex.
        ValueError: `x` has another shape, or values (such as NaN) outside 0 to 1 for bits, or that are not levels.
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
                f"images must hold whole levels from 0 to {image.levels - 1}; convert values from 0 to 1 with "
                f"(images * {image.levels - 1}).round()"
            )
    elif x.dtype != torch.bool and not bool(((x >= 0) & (x <= 1)).all()):
        raise ValueError(
            "images must hold zeros and ones, or probabilities from 0 to 1; "
            "binarise grey values from 0 to 255 first, with iafsweep.data.binarise"
        )
    return x.to(like.device, like.dtype)


def are_levels(x: Tensor, image: ImageFormat) -> bool:
    """Return whether every value is one of the levels 0 to L - 1; for bits: whether all are 0 or 1."""
    return bool(((x >= 0) & (x <= image.levels - 1) & (x == x.round())).all()) if x.dtype != torch.bool else True


def checked_whole(name: str, value: Any, least: int) -> int:  # noqa: ANN401 - the type is what it checks
    """Return an integer of any integer type as an int.

    Raises:
        TypeError: the value is not an integer; booleans and tensors do not count as integers.
        ValueError: it is below ``least``.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or isinstance(value, Tensor):
        raise TypeError(f"{name} must be a whole number, got {_kind(value)} {value!r}")
    if (number := int(value.__index__())) < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    return number


def checked_generator(generator: torch.Generator | None) -> torch.Generator:
    """Return the given generator, or a new one seeded with 0 if None; PyTorch's global generator is never used.

    Raises:
        TypeError: ``generator`` is neither a generator nor None.
    """
    if generator is None:
        return torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator or None, got {_kind(generator)} {generator!r}; "
            f"for a seed, give torch.Generator().manual_seed(1)"
        )
    return generator


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
