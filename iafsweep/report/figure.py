"""What a figure shows, apart from how it is drawn: the page draws these records as SVG, matplotlib as PNG.

So there is one source of figures: scales, limits, order and what is left out are decided once, in Python.
"""

from __future__ import annotations

from typing import Literal

from iafsweep.records import Record


class Axis(Record):
    """One axis.

    Attributes:
        label: what it shows, with its unit.
        low: where it begins.
        high: where it ends; above ``low``.
        log: whether it is logarithmic; then ``low`` is above 0.
        whole: whether only whole numbers are ticks.
        categories: names instead of numbers; the i-th stands at position i.
    """

    label: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    categories: tuple[str, ...] = ()


class Curve(Record):
    """One trial over epochs.

    Attributes:
        trial: its name.
        x: epochs, rising.
        y: the figure there, finite.
    """

    trial: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Point(Record):
    """One trial as a mark.

    Attributes:
        trial: its name.
        x: where.
        y: where.
    """

    trial: str
    x: float
    y: float


class Bar(Record):
    """One value by its name."""

    label: str
    value: float


class Line(Record):
    """One trial across parallel axes.

    Attributes:
        trial: its name.
        at: its position on each axis; None where the parameter was inactive.
        rank: 0 for the best bound to 1 for the worst, for the colour; None without a bound.
    """

    trial: str
    at: tuple[float | None, ...]
    rank: float | None


class Span(Record):
    """A figure with its error.

    Attributes:
        series: which of the figure's series, an index.
        value: the figure.
        error: one standard error; None where there is none.
        trusted: False where its diagnostics say not to trust it; None without diagnostics.
    """

    series: int
    value: float
    error: float | None
    trusted: bool | None


class SpanRow(Record):
    """All figures of one trial."""

    trial: str
    spans: tuple[Span, ...]


class _Figure(Record):
    """What all figures have.

    Attributes:
        name: file name and anchor.
        title: the question it answers, or what it shows.
        note: what the drawing cannot say.
        empty: why there is nothing to draw; empty if there is.
    """

    name: str
    title: str
    note: str = ""
    empty: str = ""


class Curves(_Figure):
    """Trials over epochs."""

    kind: Literal["curves"] = "curves"
    x: Axis
    y: Axis
    curves: tuple[Curve, ...] = ()


class Points(_Figure):
    """Trials as marks.

    Attributes:
        front: trials on the Pareto front from left to right, which are joined by steps.
    """

    kind: Literal["points"] = "points"
    x: Axis
    y: Axis
    points: tuple[Point, ...] = ()
    front: tuple[str, ...] = ()


class Bars(_Figure):
    """Values by name, the largest first."""

    kind: Literal["bars"] = "bars"
    x: Axis
    bars: tuple[Bar, ...] = ()


class Parallel(_Figure):
    """Trials across parallel axes, coloured by their rank."""

    kind: Literal["parallel"] = "parallel"
    axes: tuple[Axis, ...] = ()
    lines: tuple[Line, ...] = ()


class Spans(_Figure):
    """Figures with their errors, a row a trial."""

    kind: Literal["spans"] = "spans"
    x: Axis
    series: tuple[str, ...] = ()
    rows: tuple[SpanRow, ...] = ()


Figure = Curves | Points | Bars | Parallel | Spans
"""Every kind of figure."""
