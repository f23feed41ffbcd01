"""The interface of a named data set, and the base class of sets in files under the folder of data sets."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock
from torch import Tensor

from iafsweep.config import SOURCES, SourceFacts, source_facts
from iafsweep.errors import DataError


class Source(Protocol):
    """The interface of a source; ``root`` is the folder of downloaded data sets."""

    def missing(self, root: Path) -> list[Path]:
        """Return the required files that are missing."""

    def prepare(self, root: Path) -> None:
        """Make sure that the files exist, downloading them if need be."""

    def training_images(self, root: Path) -> Tensor:
        """Return all training images, followed by validation images, uint8 [N, channels, height, width]."""

    def test_images(self, root: Path) -> Tensor:
        """Return all test images, uint8 [N, channels, height, width]."""


@dataclass(frozen=True)
class KnownSet:
    """A named data set, and whether it is on this machine.

    Attributes:
        name: its name in configurations.
        facts: facts about the set.
        missing: the required files that are missing.
    """

    name: str
    facts: SourceFacts
    missing: tuple[Path, ...]


def known_sets(root: Path) -> tuple[KnownSet, ...]:
    """Return all named data sets, those of plugins included, with their files missing under the folder ``root``."""
    names = [name for name, member in SOURCES.members.items() if isinstance(member.knows, SourceFacts)]
    return tuple(KnownSet(name, source_facts(name), tuple(SOURCES.load(name).missing(root))) for name in names)


@dataclass(frozen=True)
class SetFile:
    """A file of a data set.

    Attributes:
        name: its name.
        size: its unpacked size in bytes; None if unknown.
        checksum: its digest in hexadecimal, SHA-256 or (32 digits) MD5; empty if none is published.
    """

    name: str
    size: int | None = None
    checksum: str = ""

    def __str__(self) -> str:
        kind = "MD5" if len(self.checksum) == hashlib.md5().digest_size * 2 else "SHA-256"
        known = [f"{self.size:,} bytes"] if self.size else []
        known += [f"{kind} {self.checksum[:8]}..."] if self.checksum else []
        return f"{self.name} ({', '.join(known)})" if known else self.name

    def is_made_of(self, content: bytes) -> bool:
        """Return whether the digest of ``content`` matches; true if no digest is known."""
        kinds = {32: hashlib.md5, 64: hashlib.sha256}
        return not self.checksum or kinds[len(self.checksum)](content).hexdigest() == self.checksum


class FileSet(ABC):
    """A data set in files, downloaded once and under a lock, where a stable address is known.

    Args:
        title: name of the set.
        folder: folder of its files, below the folder of data sets.
        files: its image files.
    """

    def __init__(self, title: str, folder: str, files: tuple[SetFile, ...]) -> None:
        self.title = title
        self.folder = Path(folder)
        self.files = files

    def missing(self, root: Path) -> list[Path]:
        """Return the required files that are missing, packed or unpacked."""
        return [root / self.folder / file.name for file in self.files if not self._path(root, file).is_file()]

    def prepare(self, root: Path) -> None:
        """Make sure that all files are under ``root``, downloading them if need be.

        A lock file keeps processes that start together from downloading twice.

        Raises:
            DataError: the folder cannot be written, or the download failed.
        """
        try:
            if not self.missing(root):
                return
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f".{self.folder.parts[0].lower()}.lock"):
                if self.missing(root):
                    self._download_or_say(root)
        except OSError as error:
            raise DataError(f"cannot write {self.title} to {root}: {error}; {self.remedy(root)}") from error

    def remedy(self, root: Path) -> str:
        """Return advice for a missing file."""
        return (
            f"put {' and '.join(map(str, self.files))}, plain or as .gz, into {root / self.folder}, or name another "
            f"folder with --data-root or IAFSWEEP_DATA, or set data.source = 'mnist_mini', which needs no files"
        )

    @abstractmethod
    def training_images(self, root: Path) -> Tensor:
        """Return all training images, followed by validation images, uint8 [N, channels, height, width]."""

    @abstractmethod
    def test_images(self, root: Path) -> Tensor:
        """Return all test images, uint8 [N, channels, height, width]."""

    @abstractmethod
    def download(self, root: Path) -> None:
        """Download what is missing."""

    def read(self, root: Path, file: SetFile) -> bytes:
        """Return a file's unpacked bytes, at most one more than its known size.

        Raises:
            DataError: it is missing, or cannot be read or unpacked.
        """
        path = self._path(root, file)
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
                return stream.read() if file.size is None else stream.read(file.size + 1)
        except FileNotFoundError:
            raise DataError(f"{root / self.folder / file.name} is missing; {self.remedy(root)}") from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be unpacked ({error}); {self.again(root)}") from error
        except OSError as error:
            raise DataError(f"cannot read {path}: {error}; {self.remedy(root)}") from error

    def checked(self, root: Path, file: SetFile) -> bytes:
        """Return a file's unpacked bytes after checking their size and digest.

        Raises:
            DataError: size or digest differ, or as :meth:`read`.
        """
        content, path = self.read(root, file), self._path(root, file)
        if file.size is not None and len(content) != file.size:
            state = "truncated" if len(content) < file.size else "too long"
            raise DataError(f"{path} is {state}: {len(content):,} bytes, expected {file.size:,}; {self.again(root)}")
        self.refuse_other(root, file, content)
        return content

    def refuse_other(self, root: Path, file: SetFile, content: bytes) -> None:
        """Check the digest of a file of the right size.

        Raises:
            DataError: the digest differs.
        """
        if not file.is_made_of(content):
            raise DataError(
                f"{self._path(root, file)} has the right size but is not {self.title} (another set, or damaged); "
                f"{self.again(root)}"
            )

    def again(self, root: Path) -> str:
        """Return advice for a file that is not what it should be."""
        return f"delete it, so that it is downloaded again, or {self.remedy(root)}"

    def _path(self, root: Path, file: SetFile) -> Path:
        """Return the path of the file, or of its ``.gz`` if the file is missing."""
        path = root / self.folder / file.name
        return path if path.is_file() else path.with_name(f"{file.name}.gz")

    def _download_or_say(self, root: Path) -> None:
        try:
            self.download(root)
        except (OSError, RuntimeError, ValueError, EOFError) as error:
            missing = " and ".join(path.name for path in self.missing(root))
            why = " ".join(str(error).split())  # torchvision lists the addresses on separate lines
            raise DataError(
                f"{self.title} lacks {missing}, and the download failed ({why}); {self.remedy(root)}"
            ) from error


def download_file(url: str, folder: Path) -> None:
    """Download one file into a folder; it gets its own name once it is complete.

    Raises:
        OSError, RuntimeError: the download failed.
    """
    from torchvision.datasets.utils import download_url

    name = url.rpartition("/")[2]
    (folder / f"{name}.part").unlink(missing_ok=True)  # torchvision takes an existing file for complete
    download_url(url, folder, f"{name}.part")
    (folder / f"{name}.part").replace(folder / name)
