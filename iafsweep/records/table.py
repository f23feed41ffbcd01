"""A table of text."""

from __future__ import annotations

from iafsweep.records.base import Record


class TextTable(Record):
    """A table for people: text in cells, ready for a terminal, Markdown or HTML.

    Attributes:
        header: names of the columns.
        rows: the cells, a row each, as many as the header has.
        notes: lines to print below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
