"""What a set with a name offers, and the base of those that lie in files under the folder of data sets."""

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
    """What a source offers; ``root`` is the folder under which downloaded sets are kept."""

    def missing(self, root: Path) -> list[Path]:
        """Return the files that it needs and has not."""

    def prepare(self, root: Path) -> None:
        """Make sure that the files are there."""

    def training_images(self, root: Path) -> Tensor:
        """Return all training images, validation images behind them, uint8 [N, channels, height, width]."""

    def test_images(self, root: Path) -> Tensor:
        """Return all test images, uint8 [N, channels, height, width]."""


@dataclass(frozen=True)
class KnownSet:
    """A set with a name, and whether it is on this machine.

    Attributes:
        name: as configurations use it.
        facts: what is known of it.
        missing: the files that it needs and has not.
    """

    name: str
    facts: SourceFacts
    missing: tuple[Path, ...]


def known_sets(root: Path) -> tuple[KnownSet, ...]:
    """Return every set with a name, those of plugins too, as it stands under the folder of data sets."""
    names = [name for name, member in SOURCES.members.items() if isinstance(member.knows, SourceFacts)]
    return tuple(KnownSet(name, source_facts(name), tuple(SOURCES.load(name).missing(root))) for name in names)


@dataclass(frozen=True)
class SetFile:
    """A file of a set.

    Attributes:
        name: its name.
        size: its bytes, unpacked; None where that is not known.
        checksum: its digest in hexadecimal, SHA-256 or, of 32 digits, MD5; empty where none is published.
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
        """Return whether its digest is that of ``content``; true where none is known."""
        kinds = {32: hashlib.md5, 64: hashlib.sha256}
        return not self.checksum or kinds[len(self.checksum)](content).hexdigest() == self.checksum


class FileSet(ABC):
    """A set in files, downloaded once, under a lock, where a stable address is known.

    Args:
        title: what it is called.
        folder: where its files lie, below the folder of data sets.
        files: those of images.
    """

    def __init__(self, title: str, folder: str, files: tuple[SetFile, ...]) -> None:
        self.title = title
        self.folder = Path(folder)
        self.files = files

    def missing(self, root: Path) -> list[Path]:
        """Return the files that are needed and not there."""
        return [root / self.folder / file.name for file in self.files if not self._path(root, file).is_file()]

    def prepare(self, root: Path) -> None:
        """Make sure that all files are under ``root``, downloading them if need be.

        A lock file keeps processes that start together from downloading at the same time.

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
            raise DataError(f"cannot put {self.title} under {root}: {error}; {self.remedy(root)}") from error

    def remedy(self, root: Path) -> str:
        """Return what to do where a file is missing."""
        return (
            f"put {' and '.join(map(str, self.files))}, as they are or with .gz, into {root / self.folder}, or "
            f"name another folder with --data-root or IAFSWEEP_DATA, or take data.source = 'mnist_mini', which needs "
            f"no files"
        )

    @abstractmethod
    def training_images(self, root: Path) -> Tensor:
        """Return all training images, validation images behind them, uint8 [N, channels, height, width]."""

    @abstractmethod
    def test_images(self, root: Path) -> Tensor:
        """Return all test images, uint8 [N, channels, height, width]."""

    @abstractmethod
    def download(self, root: Path) -> None:
        """Download what is missing."""

    def read(self, root: Path, file: SetFile) -> bytes:
        """Return a file's bytes, unpacked: no more than there should be, and one.

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
        """Return a file's bytes, unpacked, which are those that its size and its digest say.

        Raises:
            DataError: they are not, or as :meth:`read`.
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
            DataError: it is another's.
        """
        if not file.is_made_of(content):
            raise DataError(
                f"{self._path(root, file)} has the right size but is not {self.title} (another set, or damaged); "
                f"{self.again(root)}"
            )

    def again(self, root: Path) -> str:
        """Return what to do where a file is not what it should be."""
        return f"delete it and let it be downloaded again, or {self.remedy(root)}"

    def _path(self, root: Path, file: SetFile) -> Path:
        """The file; where it is not there, what it is packed in."""
        path = root / self.folder / file.name
        return path if path.is_file() else path.with_name(f"{file.name}.gz")

    def _download_or_say(self, root: Path) -> None:
        try:
            self.download(root)
        except (OSError, RuntimeError, ValueError, EOFError) as error:
            missing = " and ".join(path.name for path in self.missing(root))
            why = " ".join(str(error).split())  # torchvision tells each address it tried in lines of their own
            raise DataError(
                f"{missing} of {self.title} missing, and no download ({why}); {self.remedy(root)}"
            ) from error


def download_file(url: str, folder: Path) -> None:
    """Download one file into a folder, under its own name once it is whole.

    Raises:
        OSError, RuntimeError: it cannot be had.
    """
    from torchvision.datasets.utils import download_url

    name = url.rpartition("/")[2]
    (folder / f"{name}.part").unlink(missing_ok=True)  # torchvision takes what is there for whole
    download_url(url, folder, f"{name}.part")
    (folder / f"{name}.part").replace(folder / name)
