"""Which share of a benchmark's work a process does: `--part K/N`, every N-th piece, starting with the K-th."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, TypeVar

import typer

Piece = TypeVar("Piece")


@dataclass(frozen=True)
class Part:
    """Every ``count``-th piece, starting with the ``first``, which counts from 1."""

    first: int
    count: int

    def __str__(self) -> str:
        return f"{self.first}/{self.count}"

    def of(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the pieces of this part."""
        return islice(pieces, self.first - 1, None, self.count)


def _part(text: str | Part) -> Part:  # a Part when it is the default
    first, _, count = str(text).partition("/")
    if first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count):
        return Part(int(first), int(count))
    raise typer.BadParameter(f"write K/N with 1 <= K <= N, for example 1/2; found {text!r}")


WHOLE = Part(1, 1)
"""All of the work."""

PartOption = Annotated[
    Part,
    typer.Option(parser=_part, metavar="K/N", help="Do only every N-th piece of the work, starting with the K-th."),
]
