"""The ledger of a sweep: an append-only file of JSON lines, each on disk before anything depends on it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from iafsweep.atomic import write_text
from iafsweep.errors import SweepError
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.storage.events import LEDGER_SCHEMA, Event, Header, parse_row
from iafsweep.sweep.storage.state import LedgerState, Replay, replay
from iafsweep.version import VERSION, Writer, take_stamp

_OLDEST = 2
"""The first version of the rows; it can still be read."""


def read_ledger(path: Path) -> LedgerState:
    """Read a ledger that may be in use, cut off or damaged; nothing is written.

    An incomplete last line is left out (its writer was killed, or is about to finish it). A damaged line in the middle
    is left out and named in ``problems``.

    Raises:
        SweepError: there is no such file, it has no usable header, or a version with rows unknown here wrote to it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SweepError(f"{path} does not exist: this is not a sweep folder, or its sweep never started") from None
    except OSError as error:
        raise SweepError(f"cannot read {path}: {error}") from None
    lines = content.split(b"\n")[:-1]
    header = _read_header(path, lines)
    events, problems = _read_events(path, lines)
    if not content.endswith(b"\n"):
        problems.append(f"{path.name} line {len(lines) + 1} is cut off and left out")
    return replay(header, events, problems)


def _read_header(path: Path, lines: Sequence[bytes]) -> Header:
    values = _values(lines[0]) if lines else {}
    version, writer = values.get("ledger"), values.get("written_by")
    if isinstance(version, int) and not _OLDEST <= version <= LEDGER_SCHEMA:
        by = f" written by iafsweep {writer}" if isinstance(writer, str) else ""
        raise SweepError(
            f"{path} is a ledger of version {version}{by}, but this program ({VERSION}) reads versions {_OLDEST} to "
            f"{LEDGER_SCHEMA}; use {f'iafsweep {writer}' if by else 'the program that wrote it'}"
        )
    try:
        return Header.model_validate_json(lines[0] if lines else b"")
    except ValidationError as error:
        if writer is not None and (strange := _unknown(error)):
            raise SweepError(f"{path} {Writer(version=str(writer)).unknown(strange)}") from None
        raise SweepError(f"{path} line 1 is not a header: the file is damaged or is not a ledger; restore it") from None


def _values(line: bytes) -> dict[str, Any]:
    """Return the fields of a line, whatever its version; empty if it is damaged."""
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _unknown(error: ValidationError) -> str:
    """Name the row or field that this version does not know, if that is what is wrong with an intact line."""
    for each in error.errors():
        if each["type"] == "union_tag_invalid":
            return f"rows of kind {each['ctx']['tag']!r}"
        if each["type"] == "extra_forbidden":
            return f"rows with `{each['loc'][-1]}`"
    return ""


def _read_events(path: Path, lines: Sequence[bytes]) -> tuple[list[Event], list[str]]:
    events: list[Event] = []
    problems: list[str] = []
    writer = Writer(version=str(_values(lines[0]).get("written_by", Writer().version)))
    for number, line in enumerate(lines[1:], start=2):
        values = _values(line) if b'"began"' in line else {}
        if values.get("row") == "began":  # by a driver whose version may differ from that which began the ledger
            writer = take_stamp(values)
        try:
            if writer.newer:
                raise SweepError(f"{path}, from line {number} on, {writer.newer}")
            row = parse_row(line)
        except ValidationError as error:
            if writer.version != VERSION and (strange := _unknown(error)):
                raise SweepError(f"{path}, line {number}, {writer.unknown(strange)}") from None
            problems.append(f"{path.name} line {number} is damaged and left out")
            continue
        if isinstance(row, Header):
            problems.append(f"{path.name} line {number} is a second header and left out")
        else:
            events.append(row)
    return events, problems


class Ledger:
    """An open ledger; one process at a time writes (see ``SweepFolder.lock``). Use :meth:`create` or :meth:`open`.

    Attributes:
        fault: why a row could not be written; Tune, in whose loop most rows are written, passes on only the error text.
    """

    def __init__(self, path: Path, state: LedgerState) -> None:
        self.path = path
        self._state: LedgerState | None = state
        self._rows = Replay(state.header, state.problems)
        for event in state.events:
            self._rows.take(event)
        self.fault: SweepError | None = None
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    @classmethod
    def create(cls, path: Path, header: Header, events: Sequence[Event] = ()) -> Ledger:
        """Begin a ledger.

        The file appears with its header and the first ``events``, or not at all.

        Raises:
            SweepError: the file exists, or cannot be written.
        """
        if path.exists():
            raise SweepError(
                f"{path} exists: the sweep has already started; choose another name, or continue it: "
                f"{sweep_command('resume', path.parent)}"
            )
        try:
            write_text(path, b"".join(map(_encode, (header, *events))).decode())
        except OSError as error:
            raise SweepError(f"cannot write {path}: {error}; fix the cause and try again") from error
        return cls(path, replay(header, events))

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Read a ledger and open it for more rows; a cut-off last line is removed from the file first.

        Raises:
            SweepError: as :func:`read_ledger`, or it cannot be written.
        """
        state = read_ledger(path)
        try:
            with path.open("r+b") as file:
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(path, error) from error
        return cls(path, state)

    @property
    def state(self) -> LedgerState:
        """The state that the rows so far describe."""
        if self._state is None:
            self._state = self._rows.state()
        return self._state

    def append(self, event: Event) -> None:
        """Write one row and wait until it is on disk.

        Raises:
            SweepError: the row could not be written whole; the part that was written is removed again.
        """
        line = _encode(event)
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written; is the disk full?")
            os.fsync(self._file)
        except OSError as error:
            self.fault = _unwritable(self.path, error)
            os.ftruncate(self._file, before)
            raise self.fault from error
        self._rows.take(event)
        self._state = None

    def close(self) -> None:
        """Close the file; doing so twice is allowed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _unwritable(path: Path, error: OSError) -> SweepError:
    return SweepError(
        f"cannot write {path}: {error}; the rows already in it are intact; fix the cause, then continue: "
        f"{sweep_command('resume', path.parent)}"
    )


def _encode(row: Header | Event) -> bytes:
    return row.model_dump_json().encode() + b"\n"
