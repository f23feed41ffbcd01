"""A table for people."""

from __future__ import annotations

from iafsweep.records.base import Record


class FigureCell(Record):
    """A cell with a figure.

    Attributes:
        value: the figure.
        error: what stands behind its ±; None where there is none.
        untrusted: share of untrusted images; None where nothing tells.
        details: what tells it from others of its column.
    """

    value: float
    error: float | None = None
    untrusted: float | None = None
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join(self.parts)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """Its texts in their order: figure, error, untrusted share and details, each with what goes before it."""
        return (
            f"{self.value:.2f}",
            "" if self.error is None else f" ± {self.error:.2f}",
            f", {self.untrusted:.0%} untrusted" if self.untrusted else "",
            f" ({', '.join(self.details)})" if self.details else "",
        )


class ShareCell(Record):
    """A cell with a share of untrusted images."""

    untrusted: float

    def __str__(self) -> str:
        return f"{self.untrusted:.0%}"


class TextTable(Record):
    """A table for people: text in cells, and figures, which know their text, for a terminal, Markdown or HTML.

    Attributes:
        header: names of the columns.
        rows: the cells, a row each, as many as the header has.
        notes: lines to print below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str | FigureCell | ShareCell, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The cells of each row as text."""
        return tuple(tuple(map(str, row)) for row in self.rows)
