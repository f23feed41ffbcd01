"""A table of text."""

from __future__ import annotations

from iafsweep.records.base import Record


class TextTable(Record):
    """A table for people: text in cells, ready for a terminal, Markdown or HTML.

    Attributes:
        header: names of the columns.
        rows: the cells, a row each, as many as the header has.
        notes: lines to print below.
        untrusted: the share of untrusted images that a cell tells of, rounded, a row each; None in other cells. Empty
            where no cell tells of any.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    untrusted: tuple[tuple[float | None, ...], ...] = ()
