"""Text formatting shared by all output: parameter names and values, durations, counts, lines."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def short_name(path: str, others: Collection[str]) -> str:
    """Return the shortest suffix of a dotted path that no other path shares; ``kind`` keeps the name before it.

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
    """Return a parameter's value as in TOML, floats with four digits; a dash for None (inactive).

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
    """Return a text from a file as one line without control characters, fit for a table cell or a sentence.

    Undecodable bytes of file names (surrogates) are kept; the code that prints them deals with them.

    Example:
        >>> one_line("Which   depth?" + chr(10) + chr(27) + "[31m")
        'Which depth? [31m'
    """
    kept = (each if each.isprintable() or "\udc80" <= each <= "\udcff" else " " for each in text)
    return " ".join("".join(kept).split())


def counted(count: int, what: str) -> str:
    """Return a count with its noun, in the plural unless it is 1.

    Example:
        >>> [counted(count, "trial") for count in (0, 1, 2000)]
        ['0 trials', '1 trial', '2,000 trials']
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def fitting(widths: Sequence[int], order: Iterable[int], room: int) -> list[int]:
    """Return the columns of a table that fit, in the table's order.

    Args:
        widths: widths of all columns, separators included.
        order: columns, most important first; one that does not fit is skipped.
        room: greatest width of the table.

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
    """Return an estimator's settings for display: numbers of samples with thousands separators.

    Example:
        >>> [readable_settings(each) for each in ("16000 samples", "1 sample", "posterior 1280x3x8")]
        ['16,000 samples', '1 sample', 'posterior 1280x3x8']
    """
    return re.sub(r"^\d+(?= samples$)", lambda count: f"{int(count[0]):,}", settings)


Span = tuple[float, float]
"""Estimated lower and upper limit of a time, in seconds."""


def duration(seconds: float) -> str:
    """Return a duration in seconds as text with a suitable unit.

    Example:
        >>> [duration(seconds) for seconds in (89, 90, 5399, 5400, 172_800)]
        ['89 s', '2 min', '90 min', '1.5 h', '2.0 days']
    """
    if seconds < 5400:
        return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def span_text(span: Span) -> str:
    """Return a time span as text: one approximate figure if its ends are close, else both.

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
"""The beginning of a command to paste."""


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a text without markup; on a terminal, no line is broken inside a word."""
    console.print(said(console, text), markup=False, style=style, soft_wrap=True)


def said(console: Console, text: str) -> str:
    """Return a text, wrapped between words if the console is a terminal."""
    return "\n".join(wrapped(line, console.width) for line in text.split("\n")) if console.is_terminal else text


def wrapped(line: str, width: int) -> str:
    """Return a line wrapped to at most ``width`` characters, except for longer words and commands.

    A command that does not fit starts a new line and is not broken, so that it can be copied whole.
    """
    if len(line) <= width or line.startswith("  "):
        return line
    command = _COMMAND.search(line)
    text, rest = (line[: command.start()], line[command.start() :]) if command else (line, "")
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, *([rest] if rest else [])])
