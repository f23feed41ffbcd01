"""Where a command prints; what a terminal, pipe or file without Unicode cannot take is written plainly."""

import codecs
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from iafsweep.atomic import is_standard_output
from iafsweep.texts import said, say

__all__ = ["loading", "make_console", "print_anything", "said", "say"]

_NAME = "iafsweep.plain"
_PLAIN = {"±": "+-", "·": "*", "•": "*", "–": "-", "—": "-", "−": "-", "“": '"', "”": '"', "‘": "'", "’": "'",
          "×": "x", "→": "->", "─": "-", "━": "-", "│": "|"}  # fmt: skip


def make_console(written: Path | None = None) -> Console:
    """Return where a command prints: standard output, or standard error if ``written``, a file, is standard output."""
    return Console(highlight=False, stderr=is_standard_output(written))


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Say on a terminal what takes seconds, while the block lasts; nothing is left of it."""
    is_shown = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    if is_shown:
        print(f"Loading {what} ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def print_anything() -> None:
    """From now on no character ends the program because standard output or standard error cannot encode it."""
    codecs.register_error(_NAME, _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # who runs us may have put something else in its place
            stream.reconfigure(errors=_NAME)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    """Return ASCII for a character: what is meant, its letter without marks, or a question mark.

    Bytes of file names that are no text come as lone surrogates and are shown in hexadecimal digits.
    """
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _PLAIN.get(character) or letters or "?"
