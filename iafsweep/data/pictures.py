"""PNG, JPEG and PGM pictures in a folder or a zip file, which is never unpacked onto the disk."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from iafsweep.config.data import DataConfig
from iafsweep.data.images import PARTS, Array, Images, resized
from iafsweep.errors import DataError
from iafsweep.limits import usable_memory
from iafsweep.records import Split
from iafsweep.texts import counted

_ENDINGS = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm")
_FORMATS = ("PNG", "JPEG", "PPM")
_LARGEST_FILE = 256 * 2**20
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, zipfile.BadZipFile, NotImplementedError,
    RuntimeError, IndexError,
)  # fmt: skip
"""What Pillow and zipfile raise for broken files; RuntimeError is for an encrypted entry."""


@dataclass(frozen=True)
class _Picture:
    """A picture that has not been read yet.

    Attributes:
        name: path in the folder or zip file, with ``/``.
        size: bytes of the file.
        open: function that opens it.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]


def read_folder(path: Path, config: DataConfig) -> Images:
    """Return the pictures below a folder, in the order of their names.

    Raises:
        DataError: a picture is broken or differs from the others in size or kind, or there are no pictures.
    """

    def files() -> Iterator[_Picture]:
        for folder, _, names in os.walk(path):
            for name in names:
                file = Path(folder) / name
                if file.is_file():
                    yield _Picture(file.relative_to(path).as_posix(), file.stat().st_size, _opener(file))

    return _read(path, files(), config)


def read_zip(path: Path, config: DataConfig) -> Images:
    """Return the pictures in a zip file, in the order of their names.

    Raises:
        DataError: as :func:`read_folder`, or the file is broken.
    """
    try:
        with zipfile.ZipFile(path) as file:
            entries = [
                _Picture(entry.filename, entry.file_size, _entry_opener(file, entry))
                for entry in file.infolist()
                if not entry.is_dir()
            ]
            return _read(path, entries, config)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is not a zip file, or is truncated ({error}); create it again") from None


def _opener(file: Path) -> Callable[[], BinaryIO]:
    return lambda: file.open("rb")


def _entry_opener(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(file.read(entry))


def _read(path: Path, files: Iterable[_Picture], config: DataConfig) -> Images:
    there = sorted((each for each in files if not _is_hidden(each.name)), key=lambda each: each.name)
    pictures = [each for each in there if each.name.lower().endswith(_ENDINGS)]
    if not pictures:
        raise DataError(
            f"{path} holds no pictures ({', '.join(_ENDINGS)}) and no IDX files; it has "
            f"{counted(len(there), 'other file')}"
        )
    parts = _by_part(path, pictures)
    levels = config.levels if config.image_size is None else config.levels or 256
    tensors = {}
    shape: tuple[str, tuple[int, ...]] | None = None
    for part, members in parts.items():
        tensors[part], shape = _stacked(path, members, config, shape)
    images = Images(tensors["train"], tensors.get("validation"), tensors.get("test"), levels=levels, name=str(path))
    if others := len(there) - len(pictures):
        images.left_out = counted(others, "other file")
    return images


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _by_part(path: Path, pictures: list[_Picture]) -> dict[Split, list[_Picture]]:
    """Return pictures by their folder `train`, `validation` or `test`, at the top or below a common folder of all."""
    top = PurePosixPath(os.path.commonpath([str(PurePosixPath(each.name).parent) for each in pictures]) or ".")
    while top.parts and set(top.parts) & set(PARTS):  # all pictures are in one part: stop above its name
        top = top.parent
    found: dict[str, list[_Picture]] = {}
    for each in pictures:
        parts = PurePosixPath(each.name).relative_to(top).parts
        found.setdefault(parts[0] if len(parts) > 1 and parts[0] in PARTS else "", []).append(each)
    if set(found) == {""}:
        return {"train": pictures}
    where = path / top
    if others := found.get(""):
        raise DataError(
            f"{where} has the folders {', '.join(sorted(set(found) - {''}))} and {counted(len(others), 'picture')} "
            f"outside them, such as {others[0].name}: move those into train, validation or test, or rename the folders"
        )
    if "train" not in found:
        raise DataError(f"{where} has pictures in {', '.join(sorted(found))}, but none in train")
    return {part: found[part] for part in PARTS if part in found}


def _stacked(
    path: Path, pictures: list[_Picture], config: DataConfig, first: tuple[str, tuple[int, ...]] | None
) -> tuple[Tensor, tuple[str, tuple[int, ...]]]:
    """Return pictures as one tensor, uint8 [N, C, H, W], and name and shape of the first picture of all parts."""
    stacked = torch.empty(0, dtype=torch.uint8)
    for index, each in enumerate(pictures):
        image = torch.from_numpy(_decoded(each, f"{path}, {each.name}", grey=config.grey))
        if config.image_size is not None:
            image = resized(image[None], 256, config.image_size, config.levels or 256)[0]
        if first is None:
            first = each.name, tuple(image.shape)
        if tuple(image.shape) != first[1]:
            raise DataError(f"{path}: {_unlike(each.name, tuple(image.shape), *first)}")
        if index == 0:
            refuse_too_large(len(pictures) * image.numel(), f"{path}: {len(pictures):,} pictures")
            stacked = torch.empty((len(pictures), *image.shape), dtype=torch.uint8)
        stacked[index] = image
    assert first is not None
    return stacked, first


def _unlike(name: str, shape: tuple[int, ...], first: str, as_first: tuple[int, ...]) -> str:
    if shape[0] != as_first[0]:
        kinds = {1: "grey", 3: "in colour"}
        return (
            f"{name} is {kinds[shape[0]]}, but {first} is {kinds[as_first[0]]}; set data.grey = true to convert all to "
            f"grey"
        )
    return (
        f"{name} is {shape[1]} x {shape[2]} (height x width), but {first} is {as_first[1]} x {as_first[2]}; all images "
        f"must have the same size: resize them, for example with data.image_size = [{as_first[1]}, {as_first[2]}]"
    )


def _decoded(picture: _Picture, what: str, *, grey: bool) -> Array:
    """Return a picture, uint8 [1 or 3, H, W]."""
    if picture.size > _LARGEST_FILE:
        raise DataError(
            f"{what} has {picture.size:,} bytes, but a picture may have at most {_LARGEST_FILE:,}; shrink or remove it"
        )
    try:
        with warnings.catch_warnings(), picture.open() as stream:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(stream, formats=_FORMATS) as found:
                image = _in_grey_or_colour(ImageOps.exif_transpose(found), what)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = Image.MAX_IMAGE_PIXELS or 0
        raise DataError(
            f"{what} has more than {most:,} pixels: it is a decompression bomb, or too large to learn from; remove it"
        ) from None
    except MemoryError:
        raise DataError(f"{what} does not fit into memory") from None
    except DataError:
        raise
    except _BROKEN as error:
        said = re.sub(r"<[^>]*>", "the file", str(error))
        raise DataError(
            f"{what} is damaged, or is not a PNG, JPEG or PGM picture ({said}); repair or remove it"
        ) from None
    array = np.asarray(image.convert("L") if grey else image)
    return np.array(np.moveaxis(np.atleast_3d(array), 2, 0), order="C")


def _in_grey_or_colour(image: Image.Image, what: str) -> Image.Image:
    if image.has_transparency_data:
        if image.convert("RGBA").tobytes()[3::4].strip(b"\xff"):
            raise DataError(f"{what} is partly transparent; put a background behind it, or drop its alpha channel")
        image = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode in ("P", "RGB"):
        return image.convert("RGB")
    raise DataError(f"{what} has the Pillow mode {image.mode}; save it as grey or RGB with 8 bits per channel")


def refuse_too_large(size: int, what: str) -> None:
    """Check that this many bytes of pixels leave enough memory for training.

    Raises:
        DataError: they exceed a quarter of the memory; splitting copies them.
    """
    memory = usable_memory()
    if memory is not None and size > memory.amount / 4:
        raise DataError(
            f"{what} would take {size / 2**30:,.1f} GiB, more than a quarter of the available memory "
            f"({memory.amount / 2**30:,.1f} GiB); use fewer images, or set a smaller data.image_size"
        )
