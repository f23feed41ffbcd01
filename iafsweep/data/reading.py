"""Your own images from a path: `.npz`, `.npy`, pictures in a folder or a `.zip`, IDX files in a folder.

Sizes that a file states are checked before memory is allocated. Pickles are never read.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
from torch import Tensor

from iafsweep.config import DataConfig
from iafsweep.data import idx, pictures
from iafsweep.data.images import PARTS, Array, Images
from iafsweep.errors import DataError
from iafsweep.records import Split

_KINDS = "an .npz or .npy file, a folder or a .zip of PNG, JPEG or PGM pictures, or a folder of IDX files"
_IDX = re.compile(r"(?P<part>train|validation|test|t10k)[^/]*idx3-ubyte(?P<packed>\.gz)?", re.IGNORECASE)


def read_images(config: DataConfig) -> Images:
    """Return the images at ``data.path``, prepared as the configuration asks.

    Raises:
        DataError: there are none, or a file cannot be used; the message names it and its entry.
    """
    if config.path is None:
        raise DataError(
            f"data.source = 'file' needs data.path: {_KINDS}; if a model came without its images, name them with "
            f"--data-path, or in Python with images="
        )
    path = Path(os.path.expanduser(config.path))
    try:
        images = _read(path, config)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error
    images.path = str(path.absolute())
    return images.prepared(config)


def _read(path: Path, config: DataConfig) -> Images:
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if _IDX.fullmatch(each.name))
        return _idx_files(path, files, config) if files else pictures.read_folder(path, config)
    if not path.exists():
        raise DataError(
            f"data.path: {path} does not exist (working directory: {Path.cwd()}); name {_KINDS}; if the images have "
            f"moved, give their new path with --data-path"
        )
    levels = None if config.image_size is not None else config.levels
    match path.suffix.lower():
        case ".npz":
            arrays, others = _npz(path)
            images = Images(**arrays, levels=levels, name=str(path))
            images.left_out = others
            return images
        case ".npy":
            with path.open("rb") as stream:
                return Images(_array(stream.read(), str(path)), levels=levels, name=str(path))
        case ".zip":
            return pictures.read_zip(path, config)
    raise DataError(f"data.path = {path} cannot be read; it must be {_KINDS}")


def _npz(path: Path) -> tuple[dict[Split, Array], str]:
    """Return the arrays `train`, `validation` and `test` of an `.npz` file, and the names of its other arrays."""
    try:
        with zipfile.ZipFile(path) as file:
            entries = {entry.filename.removesuffix(".npy"): entry for entry in file.infolist()}
            if "train" not in entries:
                names = ", ".join(sorted(entries)) or "nothing"
                raise DataError(
                    f"{path} has no array `train` (found: {names}); save it with numpy.savez_compressed(path, "
                    f"train=..., test=...); `validation` and `test` are optional"
                )
            if meant := [name for name in entries if name.lower() in ("val", "valid", "dev", "eval", "testing")]:
                raise DataError(f"{path} has an array `{meant[0]}`, but only {', '.join(PARTS)} are read; rename it")
            found: dict[Split, Array] = {}
            for part in PARTS:
                if part in entries:
                    what = f"{path}, {part}"
                    pictures.refuse_too_large(entries[part].file_size, what)
                    found[part] = _array(file.read(entries[part]), what)
            return found, ", ".join(sorted(set(entries) - set(PARTS)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, MemoryError) as error:
        raise DataError(f"{path} is not an .npz file, or is truncated ({error}); save it again") from None


def _array(content: bytes, what: str) -> Array:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError, SyntaxError, TypeError) as error:
        if "Object arrays" in str(error) or content[:1] == b"\x80":  # numpy takes unknown content for a pickle
            raise DataError(
                f"{what} holds Python objects (a pickle), which are never read, since they could run code; save a "
                f"plain array, such as numpy.stack(list_of_images)"
            ) from None
        said = "" if "pickle" in str(error) else f" ({error})"
        raise DataError(f"{what} is not a NumPy array, or is truncated{said}; save it again") from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{what} is not a NumPy array; save it again")
    return array


def _idx_files(folder: Path, files: list[Path], config: DataConfig) -> Images:
    found: dict[str, Tensor] = {}
    for path in files:
        match = _IDX.fullmatch(path.name)
        assert match is not None
        part = {"t10k": "test"}.get(match["part"].lower(), match["part"].lower())
        if part in found and match["packed"]:
            continue  # its unpacked file was read
        if part in found:
            raise DataError(f"{folder} has several files of {part} images, such as {path.name}; keep only one")
        found[part] = _idx_file(path)
    if "train" not in found:
        raise DataError(f"{folder} has IDX files of {', '.join(sorted(found))} images, but none of train images")
    levels = None if config.image_size is not None else config.levels
    return Images(found["train"], found.get("validation"), found.get("test"), levels=levels, name=str(folder))


def _idx_file(path: Path) -> Tensor:
    """Return the images of an IDX file, with the number and size that its header states."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            header = stream.read(idx.HEADER.size)
            if len(header) < idx.HEADER.size or idx.HEADER.unpack(header)[0] != idx.MAGIC:
                raise DataError(f"{path} is not an IDX file of images (expected magic number {idx.MAGIC})")
            _, count, height, width = idx.HEADER.unpack(header)
            pictures.refuse_too_large(count * height * width, f"{path}: {count:,} images of {height} x {width}")
            content = header + stream.read(count * height * width + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked ({error}); compress it again") from None
    if count * height * width == 0:
        raise DataError(f"{path} is empty ({count} x {height} x {width}); leave it out, or put images into it")
    return idx.parse_images(content, count, height, width, str(path), "write it again")
