"""Where a command prints; what a terminal, pipe or file without Unicode cannot take is written plainly."""

import codecs
import io
import os
import re
import sys
import textwrap
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from iafsweep.atomic import is_standard_output

_COMMAND = re.compile(
    r"\S*(?:python\S* \S*|/|\b)(?:run_(?:sweep|single)\.py|iafsweep-(?:sweep|run)) |\S+ -m pip install "
)
"""Where a command to paste begins."""

_NAME = "iafsweep.plain"
_PLAIN = {"±": "+-", "·": "*", "•": "*", "–": "-", "—": "-", "−": "-", "“": '"', "”": '"', "‘": "'", "’": "'",
          "×": "x", "→": "->", "─": "-", "━": "-", "│": "|"}  # fmt: skip


def make_console(written: Path | None = None) -> Console:
    """Return where a command prints: standard output, or standard error if ``written``, a file, is standard output."""
    return Console(highlight=False, stderr=is_standard_output(written))


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a text as it is; on a terminal no line breaks inside a word."""
    console.print(said(console, text), markup=False, style=style, soft_wrap=True)


def said(console: Console, text: str) -> str:
    """Return a text in lines for a console; of a terminal none breaks inside a word."""
    return "\n".join(wrapped(line, console.width) for line in text.split("\n")) if console.is_terminal else text


def wrapped(line: str, width: int) -> str:
    """Return a line in lines of at most ``width`` characters, but a word or a command that is longer.

    A command that does not fit begins a line of its own and stays one, to be copied whole.
    """
    if len(line) <= width or line.startswith("  "):
        return line
    command = _COMMAND.search(line)
    text, rest = (line[: command.start()], line[command.start() :]) if command else (line, "")
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, *([rest] if rest else [])])


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
