"""Texts for people that are the same wherever they stand: names of parameters, their values, durations, lines."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def short_name(path: str, others: Collection[str]) -> str:
    """Return the shortest end of a dotted path that is no other path's end, and of ``kind`` says of what.

    Example:
        >>> short_name("model.encoder.kind", ["model.encoder.kind", "model.decoder.kind"])
        'encoder.kind'
        >>> short_name("model.prior.kind", ["model.prior.kind", "model.latent_size"])
        'prior.kind'
    """
    parts = path.split(".")
    ends = (".".join(parts[-count:]) for count in range(1 + (parts[-1] == "kind"), len(parts) + 1))
    return next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in others) == 1), path)


def value_text(value: object) -> str:
    """Return a parameter's value as TOML writes it, floats in four digits; a dash where it was inactive.

    Example:
        >>> [value_text(value) for value in (True, 0.00123456, 64, "mlp", [200, 200], ("a",), None)]
        ['true', '0.001235', '64', 'mlp', '[200, 200]', '["a"]', '-']
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def one_line(text: str) -> str:
    """Return a text from a file in one line without control characters, as a table's cell or a sentence can have it.

    Bytes of file names that are no text stay, for whoever prints them.

    Example:
        >>> one_line("Which   depth?" + chr(10) + chr(27) + "[31m")
        'Which depth? [31m'
    """
    kept = (each if each.isprintable() or "\udc80" <= each <= "\udcff" else " " for each in text)
    return " ".join("".join(kept).split())


def counted(count: int, what: str) -> str:
    """Return a number of things.

    Example:
        >>> [counted(count, "trial") for count in (0, 1, 2000)]
        ['0 trials', '1 trial', '2,000 trials']
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def fitting(widths: Sequence[int], order: Iterable[int], room: int) -> list[int]:
    """Return the columns of a table that fit, in the table's order.

    Args:
        widths: of all columns, with what stands between two.
        order: columns, those that matter most first; one that does not fit leaves its place to the next.
        room: how wide the table may be.

    Example:
        >>> fitting([10, 50, 20, 10], [2, 0, 1, 3], 45)
        [0, 2, 3]
    """
    shown: list[int] = []
    for column in order:
        if widths[column] <= room:
            shown.append(column)
            room -= widths[column]
    return sorted(shown)


def readable_settings(settings: str) -> str:
    """Return an estimator's settings as people read them: samples with separators of thousands.

    Example:
        >>> [readable_settings(each) for each in ("16000 samples", "1 sample", "posterior 1280x3x8")]
        ['16,000 samples', '1 sample', 'posterior 1280x3x8']
    """
    return re.sub(r"^\d+(?= samples$)", lambda count: f"{int(count[0]):,}", settings)


Span = tuple[float, float]
"""Seconds, at least and at most, as far as one can tell."""


def duration(seconds: float) -> str:
    """Return seconds as people read them.

    Example:
        >>> [duration(seconds) for seconds in (89, 90, 5399, 5400, 172_800)]
        ['89 s', '2 min', '90 min', '1.5 h', '2.0 days']
    """
    if seconds < 5400:
        return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def span_text(span: Span) -> str:
    """Return a time that is not known exactly; one figure where its ends are near each other.

    Example:
        >>> span_text((100.0, 120.0)), span_text((50.0, 400.0)), span_text((130.0, 170.0)), span_text((130.0, 290.0))
        ('about 2 min', '50 s to 7 min', 'about 2 min', '2 to 5 min')
    """
    low, high = map(duration, span)
    if span[1] < 1.35 * span[0] or low == high:
        return f"about {duration(sum(span) / 2)}"
    (number, unit), (_, other) = low.split(" "), high.split(" ")
    return f"{number if unit == other else low} to {high}"


_COMMAND = re.compile(
    r"\S*(?:python\S* \S*|/|\b)(?:run_(?:sweep|single)\.py|iafsweep-(?:sweep|run)) |\S+ -m pip install "
)
"""Where a command to paste begins."""


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
