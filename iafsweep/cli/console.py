"""The console that a command prints to; characters that the output cannot encode are replaced by ASCII ones."""

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
from iafsweep.importing import importing
from iafsweep.texts import said, say

__all__ = ["loading", "make_console", "print_anything", "said", "say"]

_NAME = "iafsweep.plain"
_PLAIN = {"±": "+-", "·": "*", "•": "*", "–": "-", "—": "-", "−": "-", "“": '"', "”": '"', "‘": "'", "’": "'",
          "×": "x", "→": "->", "─": "-", "━": "-", "│": "|"}  # fmt: skip


def make_console(written: Path | None = None) -> Console:
    """Return a command's console: standard output, or standard error if the file ``written`` is standard output."""
    return Console(highlight=False, stderr=is_standard_output(written))


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Show on a terminal what is being loaded while the block runs; the line is erased afterwards."""
    is_shown = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    if is_shown:
        print(f"Loading {what} ...", end="", file=sys.stderr, flush=True)
    try:
        with importing():
            yield
    finally:
        if is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def print_anything() -> None:
    """Make standard output and standard error replace characters they cannot encode instead of raising an error."""
    codecs.register_error(_NAME, _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a caller may have replaced the stream
            stream.reconfigure(errors=_NAME)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    """Return ASCII for a character: an equivalent, its letter without diacritics, or a question mark.

    Undecodable bytes of file names arrive as lone surrogates and are shown in hexadecimal.
    """
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _PLAIN.get(character) or letters or "?"
