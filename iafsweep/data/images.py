"""Your own images: arrays, fully checked and stored as bytes in one layout, with the number of values of a pixel."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from iafsweep.config.data import DataConfig, FoundImages
from iafsweep.data.fingerprint import fingerprint
from iafsweep.errors import DataError
from iafsweep.records import Split
from iafsweep.seeds import generator
from iafsweep.texts import counted

Array = np.ndarray[Any, np.dtype[Any]]

PARTS: tuple[Split, ...] = ("train", "validation", "test")
_SHARE = 10
"""One in this many images is split off for a missing part."""
_MOST = 10_000
"""Most images split off for a missing part."""
_BRIGHT = 127
"""Images with a brighter pixel are taken to have 256 levels."""
_BLOCK = 1000
_WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as in Pillow."""


class Images:
    """Your own images, from arrays or tensors.

    Values are integers from 0 to 255, booleans, or floats from 0 to 1. Shapes are ``[N, H, W]``, ``[N, C, H, W]`` or
    ``[N, H, W, C]`` with one channel or three. If validation or test images are not given, they are drawn from the
    others with a fixed seed: a tenth of them, at most 10,000.

    Args:
        train: images to train on.
        validation: images to choose models by.
        test: images to score.
        levels: number of values a pixel can have; None: 2 if only two occur (0 and 1, or 0 and 255); else 256 for
            floats and if a pixel is above 127; else the largest value + 1.
        name: name of the images in messages.

    Attributes:
        parts: uint8 [N, C, H, W] by split, values from 0 to ``levels`` - 1.
        levels: number of values a pixel can have.
        name: name of the images in messages.
        path: absolute path that they were read from; None if they came as arrays.
        left_out: description of other files or arrays that were not read; empty if there were none.

    Raises:
        DataError: a part is empty, differs in shape from the first, or holds values that are not pixels.

    Example:
        >>> import iafsweep, numpy
        >>> images = iafsweep.Images(train=numpy.eye(8, dtype=bool)[None].repeat(30, axis=0))
        >>> images.levels, tuple(images.test.shape)
        (2, (3, 1, 8, 8))
    """

    def __init__(
        self,
        train: Array | Tensor,
        validation: Array | Tensor | None = None,
        test: Array | Tensor | None = None,
        *,
        levels: int | None = None,
        name: str = "Images",
    ) -> None:
        if levels is not None and not isinstance(levels, int | np.integer):
            raise DataError(f"{name}: levels must be a whole number, found {levels!r}")
        given = {"train": train, "validation": validation, "test": test}
        known = [part for part in PARTS if part == "train" or given[part] is not None]
        arrays = {part: _pixels(given[part], f"{name}, {part}") for part in known}
        shapes = {part: each.shape[1:] for part, each in arrays.items()}
        for part, shape in shapes.items():
            if shape != shapes["train"]:
                raise DataError(
                    f"{name}: all parts need images of the same size, but {part} has {_size(shape)} and train has "
                    f"{_size(shapes['train'])}"
                )
        self.name = name
        self.path: str | None = None
        self.left_out = ""
        self._is_prepared = False
        self.levels = _levels(arrays, levels, name)
        self.parts: Mapping[Split, Tensor] = {
            part: torch.from_numpy(_to_bytes(arrays[part], self.levels)) for part in PARTS if part in arrays
        }

    @cached_property
    def _split(self) -> tuple[Tensor, Tensor]:
        """Training and validation images (validation images, if given, last), and test images."""
        train = self.parts["train"]
        if "test" in self.parts:
            test = self.parts["test"]
        else:
            count = _share(len(train), self.name)
            order = torch.randperm(len(train), generator=generator("cpu", 0, "test split"))
            test, train = train[order[:count].sort().values], train[order[count:].sort().values]
        return torch.cat([train, self.parts["validation"]]) if "validation" in self.parts else train, test

    @property
    def training(self) -> Tensor:
        """Images to train and validate on, uint8 [N, C, H, W]."""
        return self._split[0]

    @property
    def test(self) -> Tensor:
        """Images to test on, uint8 [N, C, H, W]."""
        return self._split[1]

    @cached_property
    def found(self) -> FoundImages:
        """Sizes, levels and checksums of the images."""
        training, test = fingerprint(self.training), fingerprint(self.test)
        own = self.parts.get("validation")
        channels, height, width = training.shape
        return FoundImages(
            shape=(channels, height, width),
            levels=self.levels,
            training_images=training.count,
            test_images=test.count,
            validation_images=_share(training.count, self.name) if own is None else len(own),
            validation_is_last=own is not None,
            training_checksum=training.checksum,
            test_checksum=test.checksum,
        )

    def prepared(self, config: DataConfig) -> Images:
        """Return the images as the configuration asks: turned grey, resized, inverted.

        Prepared images are returned unchanged.
        """
        if self._is_prepared:
            return self
        parts, levels = dict(self.parts), self.levels
        if config.grey:
            parts = {part: _grey(each) for part, each in parts.items()}
        if config.image_size is not None and tuple(parts["train"].shape[2:]) != config.image_size:
            levels = config.levels or 256
            parts = {part: resized(each, self.levels, config.image_size, levels) for part, each in parts.items()}
        if config.levels not in (None, levels):
            raise DataError(
                f"{self.name}: the images have {levels} levels, but data.levels = {config.levels}; leave it unset"
            )
        if config.invert:
            parts = {part: levels - 1 - each for part, each in parts.items()}
        made = copy(self)
        made.levels, made.parts, made._is_prepared = levels, parts, True
        return made


def resized(images: Tensor, levels: int, size: tuple[int, int], to_levels: int) -> Tensor:
    """Return images [N, C, H, W] resized with antialiasing, with values from 0 to ``to_levels`` - 1."""
    scale = (to_levels - 1) / (levels - 1)
    blocks = [
        F.interpolate(block.float(), size, mode="bilinear", antialias=True).mul_(scale).round_().to(torch.uint8)
        for block in images.split(_BLOCK)
    ]
    return torch.cat(blocks)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(_WEIGHTS).view(1, 3, 1, 1)
    blocks = [(block * weights).sum(1, keepdim=True).round_().to(torch.uint8) for block in images.split(_BLOCK)]
    return torch.cat(blocks)


def _share(count: int, name: str) -> int:
    if count < 2:
        raise DataError(f"{name}: {counted(count, 'image')} cannot be split into parts; add more")
    return min(max(count // _SHARE, 1), _MOST)


def _pixels(given: object, what: str) -> Array:
    """Check that an array holds images; return it as [N, C, H, W] with unchanged values."""
    if isinstance(given, Tensor):
        given = given.detach().cpu()
        given = (given.float() if given.dtype == torch.bfloat16 else given).numpy()
    if not isinstance(given, np.ndarray):
        raise DataError(f"{what} must be an array or a tensor, found {type(given).__name__}")
    if given.dtype.kind not in "buif":
        raise DataError(f"{what} holds {given.dtype}; pixels must be uint8, bool, or floats from 0 to 1")
    if given.ndim == 2:
        raise DataError(f"{what} is {_size(given.shape)}: reshape it to [images, height, width]")
    if given.ndim not in (3, 4):
        raise DataError(f"{what} is {_size(given.shape)}; it must be [N, H, W], [N, C, H, W] or [N, H, W, C]")
    if 0 in given.shape:
        raise DataError(f"{what} is empty ({_size(given.shape)}); leave it out, or put images into it")
    array = _channels_first(given, what)
    _refuse_no_pixels(array, what)
    return array


def _channels_first(array: Array, what: str) -> Array:
    if array.ndim == 3:
        return array[:, None]
    is_first, is_last = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
    if is_first and not is_last:
        return array
    if is_last and not is_first:
        return np.moveaxis(array, 3, 1)
    if is_first:
        raise DataError(
            f"{what} is {_size(array.shape)}, which could be [N, C, H, W] or [N, H, W, C]; give grey images as "
            f"[N, H, W], and colour images channels first (numpy.moveaxis(x, 3, 1)) and more than 3 pixels wide"
        )
    raise DataError(
        f"{what} is {_size(array.shape)}, but images need an axis of 1 or 3 channels, before or after height and "
        f"width; drop the other channels"
    )


def _refuse_no_pixels(array: Array, what: str) -> None:
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        if not (np.isfinite(low) and np.isfinite(high)):
            bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            raise DataError(
                f"{what} holds NaN or infinity in {counted(int(bad.sum()), 'image')}, the first of them image "
                f"{int(bad.argmax())}"
            )
        if low < 0 or high > 1:
            raise DataError(
                f"{what} has values from {low:g} to {high:g}; floats must be from 0 to 1: divide by the largest "
                f"possible value, or give whole numbers as uint8"
            )
    elif array.dtype.kind != "b" and (low < 0 or high > 255):
        raise DataError(f"{what} has values from {low} to {high}; whole numbers must be from 0 to 255")


def _levels(arrays: Mapping[Split, Array], asked: int | None, name: str) -> int:
    """Return the number of values a pixel can have, as asked for or as found."""
    kinds = {each.dtype.kind for each in arrays.values()}
    if len(kinds - set("ui")) + bool(kinds & set("ui")) > 1:
        raise DataError(
            f"{name}: all parts must have the same type, found {', '.join(str(a.dtype) for a in arrays.values())}"
        )
    if kinds == {"f"}:
        is_bits = all(bool(((each == 0) | (each == 1)).all()) for each in arrays.values())
        return asked or (2 if is_bits else 256)
    high = max(int(each.max()) for each in arrays.values())
    is_bits = high in (0, 1) or (high == 255 and all(_is_black_and_white(each) for each in arrays.values()))
    found = 2 if is_bits else 256 if high > _BRIGHT else high + 1
    if asked is not None and asked < found:
        raise DataError(f"{name} has a pixel of {high}, but levels = {asked} allows only values from 0 to {asked - 1}")
    return asked or found


def _is_black_and_white(array: Array) -> bool:
    return bool(((array == 0) | (array == 255)).all())


def _to_bytes(array: Array, levels: int) -> Array:
    """Return a copy of the values as uint8 from 0 to ``levels`` - 1."""
    if array.dtype.kind == "f":
        blocks = [np.rint(block.astype(np.float32) * (levels - 1)).astype(np.uint8) for block in _blocks(array)]
        return np.concatenate(blocks)
    found = np.array(array, dtype=np.uint8, order="C")
    return np.minimum(found, 1) if levels == 2 else found


def _blocks(array: Array) -> list[Array]:
    return [array[first : first + _BLOCK] for first in range(0, len(array), _BLOCK)]


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
